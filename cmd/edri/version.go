package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/server"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show what was built",
		Example: `  edri version`,
		Args:    cobra.NoArgs,
		RunE: a.does(func(context.Context, []string) error {
			build := server.ReadBuild()
			if a.output != outputText {
				return a.writeJSON(build)
			}
			_, err := fmt.Fprintln(a.stdout, "edri", build)
			return wrapWrite(err)
		}),
	}
}
