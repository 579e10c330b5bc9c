"""Sends alerts to Telegram and webhooks."""
