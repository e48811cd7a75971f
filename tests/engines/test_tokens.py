"""A worker's token follows from the grid secret, its origin and the generation, and from nothing less."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from nadg_kernel.engines.tokens import random_token, registered_endpoint, worker_token
from nadg_kernel.errors import SettingsError, WorkerError
from nadg_kernel.settings import Secret

SECRET = "s" * 32


def test_is_the_hmac_of_the_design():
    expected = hmac.new(SECRET.encode(), b"nadg1|https://w.example|3", hashlib.sha256).hexdigest()
    assert worker_token(SECRET, "https://W.example:443/", 3).reveal() == expected
    assert worker_token(Secret(SECRET), "https://w.example", 3).reveal() == expected


def test_each_origin_and_generation_has_its_own():
    made = {
        worker_token(secret, origin, generation).reveal()
        for secret in (SECRET, "t" * 32)
        for origin in ("https://w.example", "https://v.example", "https://w.example:8443")
        for generation in (1, 2)
    }
    assert len(made) == 12


@pytest.mark.parametrize("secret", [None, "", Secret(""), "short", Secret("s" * 31)])
def test_no_secret_is_an_error_that_says_how_to_make_one(secret):
    with pytest.raises(SettingsError, match=r"NADG_GRID_SECRET.*token_hex") as caught:
        worker_token(secret, "https://w.example", 1)
    assert "short" not in str(caught.value).replace("shorter", "")


def test_no_token_for_what_is_no_worker_url():
    with pytest.raises(WorkerError):
        worker_token(SECRET, "http://w.example", 1)


@pytest.mark.parametrize("url", ["http://evil.example", "https://u:p@evil.example", "https://evil.example/x", "", "x"])
def test_a_row_that_no_worker_may_have_gets_no_token(url):
    assert registered_endpoint("evil", url, 1, SECRET).token is None


def test_a_row_of_the_registry_gets_its_own_token():
    made = registered_endpoint("w", "https://w.example", 2, SECRET)
    assert made.token == worker_token(SECRET, "https://w.example", 2)
    assert not made.local
    assert registered_endpoint("w", "https://w.example", 2, None).token is None


def test_tokens_do_not_show():
    token = worker_token(SECRET, "https://w.example", 1)
    assert token.reveal() not in repr(token)
    assert random_token().reveal() != random_token().reveal()
    assert len(random_token().reveal()) == 64
