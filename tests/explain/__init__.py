"""Explained derivation."""
