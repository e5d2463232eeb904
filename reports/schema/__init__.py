"""JSON Schemas of the records that leave the tool."""
