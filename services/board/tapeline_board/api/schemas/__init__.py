"""Schemas of every response and event, one module a topic; the front end's types are generated from them."""
