"""The data source `deflated-data`."""
