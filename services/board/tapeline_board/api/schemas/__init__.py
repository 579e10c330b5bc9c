"""Schemas of every response and event; the front end's types are written from them."""
