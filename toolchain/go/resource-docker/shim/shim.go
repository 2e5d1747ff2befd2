// Package shim hands out the Docker provider's constructor, which is internal to its module: only
// a package whose path lies under that module's may import it.
package shim

import (
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

// New makes the Terraform provider for Docker.
func New(version string) *schema.Provider {
	return provider.New(version)()
}
