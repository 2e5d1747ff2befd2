"""What a forge can do by its version: `11.0.4+gitea-1.22.0` is Forgejo's, `1.26.0` Gitea's."""

from __future__ import annotations

import re


def limits_tokens(version: str) -> bool:
    """Tell whether tokens can be limited to repositories: Forgejo from 15.0 on, no Gitea (1.26)."""
    return _numbers(version) >= (15,)


def reserves_more_names(version: str) -> bool:
    """Tell whether `rules.RESERVED_BEFORE` are reserved: Forgejo before 10, Gitea before 1.23."""
    major, minor = (*_numbers(version), 0, 0)[:2]
    return minor < 23 if major == 1 else 1 < major < 10  # noqa: PLR2004 - versions


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()
