"""The bot user's access to the project's repository."""

from contextlib import suppress

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from components.provider import ForgeProvider, Props
from muster.forge import NotFoundError


class RepositoryAccessProvider(ForgeProvider):
    """Makes bot users collaborators, and removes them."""

    replace_on = ("repository", "user")
    update_on = ("forge", "forge_ca", "permission", "mark")
    delete_before_replace = True

    def create(self, props: Props) -> CreateResult:
        """Make the bot user a collaborator."""
        self.forge(props).add_collaborator(props["repository"], props["user"], props["permission"])
        return CreateResult(f"{props['repository']}/{props['user']}", props)

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Set the permission, which somebody may have changed by hand."""
        self.forge(news).add_collaborator(news["repository"], news["user"], news["permission"])
        return UpdateResult({**olds, **news})

    def read(self, id_: str, props: Props) -> ReadResult:
        """Report the permission that the bot user has; gone where it is no collaborator."""
        permission = self.forge(props).collaborator_permission(props["repository"], props["user"])
        if permission is None:
            return ReadResult(None, {})
        outs = {**props, "permission": permission}
        return ReadResult(id_, outs, outs)

    def delete(self, _id: str, props: Props) -> None:
        """Remove the collaborator; the forge clears what was assigned to it."""
        if self.account(props) is None:
            return
        # From the old name of a repository a forge redirects (301), which a DELETE must not follow.
        found = self.forge(props).repository(props["repository"])
        if found is not None:
            with suppress(NotFoundError):
                self.forge(props).remove_collaborator(found.full_name, props["user"])


class RepositoryAccess(Resource, module="forgejo", name="RepositoryAccess"):
    """The bot user as a collaborator of a repository."""

    def __init__(
        self,
        name: str,
        *,
        forge: pulumi.Input[str],
        repository: str,
        user: pulumi.Input[str],
        mark: pulumi.Input[str],
        permission: str,
        forge_ca: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the access.

        Args:
            name: the resource's name.
            forge: the forge's URL, as seen from where Pulumi runs.
            forge_ca: the file with the certificates of the forge's private CA.
            repository: `owner/name`.
            user: the account's name.
            mark: the account's mark.
            permission: `read` or `write`.
            opts: the resource's options.
        """
        super().__init__(
            RepositoryAccessProvider(),
            name,
            {
                "forge": forge,
                "forge_ca": forge_ca,
                "repository": repository,
                "user": user,
                "mark": mark,
                "permission": permission,
            },
            pulumi.ResourceOptions.merge(pulumi.ResourceOptions(delete_before_replace=True), opts),
        )
