"""Text front end of the bundled model: written English to phones and pauses."""
