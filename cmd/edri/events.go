package main

import (
	"cmp"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func (a *app) eventsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "events", Short: "Append, import, read and follow events"}
	a.group(cmd)
	cmd.AddCommand(a.appendCommand(), a.importCommand(), a.queryCommand(), a.getCommand(), a.tailCommand())
	return cmd
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
