"""Recoverers for any token model: from sound alone back to the tokens that it was decoded from."""
