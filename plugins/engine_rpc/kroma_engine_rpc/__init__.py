"""An external execution client, driven over the authenticated Engine API."""
