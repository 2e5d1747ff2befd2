"""Types that several tables of the roster share, and how strictly all tables are read."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.config import JsonDict

from muster import rules

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)

_HTTP: JsonDict = {"pattern": "^https?://[^@?#]+$"}

# As `hosts.is_loopback`, as far as a pattern can tell it. An empty text is none.
_LOOPBACK = r"([^/:]+\.)?localhost\.?|127[\d.]*|0|0\.0\.0\.0|\[::1?\]"
_HTTP_INSIDE: JsonDict = {"pattern": rf"^$|^https?://(?!({_LOOPBACK})(:|/|$))[^@?#]+$"}

Name = Annotated[
    str,
    AfterValidator(rules.name),
    Field(json_schema_extra={"pattern": rules.NAME_PATTERN, "maxLength": rules.NAME_LENGTH}),
]
EndpointUrl = Annotated[
    str, AfterValidator(rules.endpoint_url), Field(json_schema_extra=_HTTP_INSIDE)
]
ForgeUrl = Annotated[str, AfterValidator(rules.forge_url), Field(json_schema_extra=_HTTP)]
ForgeUrlInside = Annotated[
    str, AfterValidator(rules.forge_url_inside), Field(json_schema_extra=_HTTP_INSIDE)
]
NotBlank = Annotated[str, AfterValidator(rules.not_blank)]
RepositoryName = Annotated[
    str,
    AfterValidator(rules.repository),
    Field(json_schema_extra={"pattern": rules.REPOSITORY_PATTERN}),
]
RepositoryPath = Annotated[NotBlank, AfterValidator(rules.repository_path)]
