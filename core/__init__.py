"""What every other layer stands on: records, errors, audio, registry. Imports numpy and nothing heavier."""
