"""Muster: a crew of coding agents on a self-hosted forge, as code."""
