"""Skips where the C2PA library is not installed; signers for all tests of credentials."""

import pytest
from signed_files import signer_files, signer_of, trust_in

pytest.importorskip("c2pa", reason="c2pa-python is not installed")


@pytest.fixture(scope="session")
def authority():
    """PEM files of a test authority and its signer."""
    return signer_files()


@pytest.fixture(scope="session")
def signer(authority):
    return signer_of(authority)


@pytest.fixture(scope="session")
def trust(authority):
    return trust_in(authority)
