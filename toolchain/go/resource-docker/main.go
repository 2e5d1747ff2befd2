// Command pulumi-resource-docker serves the resources of pulumi-docker that Muster uses, by bridging
// the same Terraform provider as Pulumi's own plugin, for machines that cannot download that one.
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/terraform-providers/terraform-provider-docker/shim"
)

// version is that of the Python package pulumi-docker; the build sets it.
var version = "0.0.0"

func main() {
	keep := func(name string) *tfbridge.SchemaInfo { return &tfbridge.SchemaInfo{Name: name} }
	info := tfbridge.ProviderInfo{
		P:       shimv2.NewProvider(shim.New(version)),
		Name:    "docker",
		Version: version,
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_container": {
				Tok:                 "docker:index/container:Container",
				DeleteBeforeReplace: true,
				// Pulumi's plural rule would rename these; pulumi-docker keeps them.
				Fields: map[string]*tfbridge.SchemaInfo{
					"command":           keep("command"),
					"networks_advanced": keep("networksAdvanced"),
				},
			},
			"docker_image":   {Tok: "docker:index/remoteImage:RemoteImage"},
			"docker_network": {Tok: "docker:index/network:Network"},
			"docker_volume":  {Tok: "docker:index/volume:Volume"},
		},
	}
	info.SetAutonaming(255, "-")
	tfbridge.Main("docker", version, info, []byte(`{"name":"docker","version":"`+version+`"}`))
}
