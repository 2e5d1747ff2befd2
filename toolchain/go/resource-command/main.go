// Command pulumi-resource-command serves pulumi_command.local.Command with the inputs, outputs and
// semantics of pulumi-command 1.2, for machines that cannot download Pulumi's own plugin, whose Go
// module is not published. assetPaths and archivePaths are left out: Muster uses neither.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// version is that of the Python package pulumi-command; the build sets it.
var version = "0.0.0"

// Command runs a program on this machine when it is created, updated and deleted.
type Command struct{}

// Annotate names the type as pulumi_command does.
func (c *Command) Annotate(a infer.Annotator) { a.SetToken("local", "Command") }

// Inputs are what pulumi_command.local.Command takes. Triggers replace; the Python class says so too.
type Inputs struct {
	Create                 *string           `pulumi:"create,optional"`
	Update                 *string           `pulumi:"update,optional"`
	Delete                 *string           `pulumi:"delete,optional"`
	Triggers               []any             `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Interpreter            []string          `pulumi:"interpreter,optional"`
	Dir                    *string           `pulumi:"dir,optional"`
	Environment            map[string]string `pulumi:"environment,optional"`
	Stdin                  *string           `pulumi:"stdin,optional"`
	Logging                *string           `pulumi:"logging,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
}

// Annotate states the default that pulumi-command writes into the state.
func (i *Inputs) Annotate(a infer.Annotator) { a.SetDefault(&i.AddPreviousOutputInEnv, true) }

// Outputs are the inputs, secret where they were, and what the last command printed. As with
// pulumi-command that is no secret: a program whose command prints one says additional_secret_outputs
// and Logging.NONE.
type Outputs struct {
	Inputs
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// Create runs the create command.
func (Command) Create(ctx context.Context, req infer.CreateRequest[Inputs]) (infer.CreateResponse[Outputs], error) {
	state := Outputs{Inputs: req.Inputs}
	id, err := resource.NewUniqueHex(req.Name, 8, 0)
	if err == nil && !req.DryRun {
		err = state.run(ctx, req.Inputs.Create)
	}
	return infer.CreateResponse[Outputs]{ID: id, Output: state}, err
}

// Update runs the update command or, where there is none, create's again.
func (Command) Update(ctx context.Context, req infer.UpdateRequest[Inputs, Outputs]) (infer.UpdateResponse[Outputs], error) {
	state := Outputs{Inputs: req.Inputs, Stdout: req.State.Stdout, Stderr: req.State.Stderr}
	command := req.Inputs.Update
	if command == nil {
		command = req.Inputs.Create
	}
	var err error
	if !req.DryRun {
		err = state.run(ctx, command)
	}
	return infer.UpdateResponse[Outputs]{Output: state}, err
}

// Delete runs the delete command.
func (Command) Delete(ctx context.Context, req infer.DeleteRequest[Outputs]) (infer.DeleteResponse, error) {
	return infer.DeleteResponse{}, req.State.run(ctx, req.State.Inputs.Delete)
}

// run runs a command, if there is one, and keeps what it prints. Its error holds the command's
// standard error but not the command, which may hold a secret.
func (o *Outputs) run(ctx context.Context, command *string) error {
	if command == nil {
		return nil
	}
	argv := o.Interpreter
	if len(argv) == 0 {
		argv = []string{"/bin/sh", "-c"}
	}
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:len(argv):len(argv)], *command)...)
	cmd.Env = o.environment()
	if o.Dir != nil {
		cmd.Dir = *o.Dir
	}
	if o.Stdin != nil {
		cmd.Stdin = strings.NewReader(*o.Stdin)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	o.Stdout, o.Stderr = strings.TrimSuffix(stdout.String(), "\n"), strings.TrimSuffix(stderr.String(), "\n")
	o.log(ctx)
	if err != nil {
		return fmt.Errorf("the command failed: %w\n%s", err, o.Stderr)
	}
	return nil
}

// environment is this process's, the resource's own and, unless declined, the last command's output.
func (o *Outputs) environment() []string {
	env := os.Environ()
	for name, value := range o.Environment {
		env = append(env, name+"="+value)
	}
	if previous := o.AddPreviousOutputInEnv; previous == nil || *previous {
		env = append(env, "PULUMI_COMMAND_STDOUT="+o.Stdout, "PULUMI_COMMAND_STDERR="+o.Stderr)
	}
	return env
}

// log shows the output in the engine's log, both streams unless "logging" says otherwise.
func (o *Outputs) log(ctx context.Context) {
	streams := "stdoutAndStderr"
	if o.Logging != nil {
		streams = *o.Logging
	}
	logger := provider.GetLogger(ctx)
	if o.Stdout != "" && (streams == "stdout" || streams == "stdoutAndStderr") {
		logger.Info(o.Stdout)
	}
	if o.Stderr != "" && (streams == "stderr" || streams == "stdoutAndStderr") {
		logger.Info(o.Stderr)
	}
}

func main() {
	plugin, err := infer.NewProviderBuilder().WithResources(infer.Resource(&Command{})).Build()
	if err == nil {
		err = plugin.Run(context.Background(), "command", version)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
