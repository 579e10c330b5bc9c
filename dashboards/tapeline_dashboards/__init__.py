"""Kibana's dashboards as code: readable source, compiled to saved objects, judged by rules, loaded over HTTP."""
