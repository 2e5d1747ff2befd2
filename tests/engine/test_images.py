"""Images: a preview asks the registry, and the update pulls."""

from contextlib import suppress

import docker
import docker.errors
import pytest
from registry_server import registry
from workplace import Workplace


def test_a_preview_pulls_nothing_and_the_update_does(workplace: Workplace) -> None:
    images = workplace.client.images
    with registry() as (image, asked):
        workplace.roster(workplace.agent("dev-qwen", image=image, enabled=False))
        try:
            workplace.muster("preview")
            assert any("/manifests/1" in each for each in asked)
            with pytest.raises(docker.errors.ImageNotFound):
                images.get(image)

            assert f"Pulling image {image}" in workplace.up()
            assert images.get(image).attrs["Config"]["User"] == "1000"
        finally:
            with suppress(docker.errors.ImageNotFound):
                images.remove(image)
        gone = image.replace("/agent:1", "/agent:2")
        workplace.roster(workplace.agent("dev-qwen", image=gone, enabled=False))
        refused = workplace.muster("preview", expect=1)
        assert f"image {gone} is not on this engine, and cannot be pulled" in refused
