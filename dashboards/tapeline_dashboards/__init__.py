"""Kibana dashboards as code: compiles YAML sources to saved objects, validates them, loads them into Kibana."""
