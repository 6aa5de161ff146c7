package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) streamsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "streams", Short: "List, show and purge streams"}
	a.group(cmd)
	cmd.AddCommand(a.streamsListCommand(), a.streamsShowCommand(), a.streamsPurgeCommand())
	return cmd
}

// streamInfo is a stream as JSON.
type streamInfo struct {
	Name     string         `json:"name"`
	Revision event.Revision `json:"revision,string"`
	Position event.Position `json:"position,string"`
}

func (a *app) streamsListCommand() *cobra.Command {
	var prefix string
	var limit uint64
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List streams in the order of their names",
		Long: `List streams in the order of their names: the revision and the position of the
last event, and the name.`,
		Example: `  edri streams ls --prefix order/`,
		Args:    cobra.NoArgs,
		RunE:    a.does(func(ctx context.Context, _ []string) error { return a.listStreams(ctx, prefix, limit) }),
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only names that begin so")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most so many streams; 0 for all")
	return cmd
}

func (a *app) listStreams(ctx context.Context, prefix string, limit uint64) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	out := newListWriter(a.stdout, a.output)
	for s, err := range c.Streams(ctx, prefix) {
		if err != nil {
			if out.count > 0 {
				err = errors.Join(err, out.close())
			}
			return err
		}
		if out.count == 0 && a.output == outputText {
			_, _ = fmt.Fprintf(out.out, "%10s  %10s  %s\n", "REVISION", "POSITION", "STREAM") // close tells of errors
		}
		err := out.item(
			func(b []byte) ([]byte, error) {
				return fmt.Appendf(b, "%10d  %10d  %s", s.Revision, s.Position, printable(s.Name)), nil
			},
			func(b []byte) ([]byte, error) { return appendStreamJSON(b, s) },
		)
		if err != nil {
			return err
		}
		if limit > 0 && uint64(out.count) == limit {
			break
		}
	}
	return out.close()
}

func appendStreamJSON(b []byte, s client.Stream) ([]byte, error) {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(streamInfo(s)); err != nil {
		return b, fmt.Errorf("encode stream: %w", err)
	}
	return append(b, strings.TrimSuffix(buf.String(), "\n")...), nil
}
