"""The Pulumi resources of a crew, one kind a file."""
