package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) retentionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "retention", Short: "See and set how much of the history stays"}
	a.group(cmd)
	cmd.AddCommand(a.retentionShowCommand(), a.retentionSetCommand())
	return cmd
}

func (a *app) retentionShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Show how much of the history stays, and what is there",
		Example: `  edri retention show
  edri retention show --output json`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error { return a.showRetention(ctx) }),
	}
}

func (a *app) showRetention(ctx context.Context) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, stop := a.waitFirst(ctx, client.Linearizable, 0)
	defer stop()
	r, err := c.Retention(ctx, client.Linearizable)
	if err != nil {
		return err
	}
	return a.writeRetention(r)
}

func (a *app) writeRetention(r client.Retention) error {
	events := event.Position(0)
	if r.Last > 0 {
		events = r.Last - r.First + 1
	}
	if a.output != outputText {
		return a.writeJSON(struct {
			Age           string         `json:"age"`
			Bytes         uint64         `json:"bytes,string"`
			Events        uint64         `json:"events,string"`
			FirstPosition event.Position `json:"first_position,string"`
			LastPosition  event.Position `json:"last_position,string"`
		}{formatAge(r.Age), r.Bytes, r.Events, r.First, r.Last})
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "age\t%s\n", orAny(r.Age > 0, formatAge(r.Age)))
	fmt.Fprintf(table, "bytes\t%s\n", orAny(r.Bytes > 0, formatSize(r.Bytes)))
	fmt.Fprintf(table, "events\t%s\n", orAny(r.Events > 0, strconv.FormatUint(r.Events, 10)))
	fmt.Fprintf(table, "first position\t%d\n", r.First)
	fmt.Fprintf(table, "last position\t%d\n", r.Last)
	fmt.Fprintf(table, "positions\t%d\n", events)
	return wrapWrite(table.Flush())
}

func orAny(bounded bool, bound string) string {
	if bounded {
		return bound
	}
	return "off"
}

const day = 24 * time.Hour

// parseAge reads a duration that may also be of days, and 0 or off for none.
func parseAge(s string) (time.Duration, error) {
	if s == "off" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n uint64
		if n, err = strconv.ParseUint(days, 10, 64); err == nil && n <= uint64(1<<63-1)/uint64(day) {
			return time.Duration(n) * day, nil
		}
		d = -1
	}
	if err != nil || d < 0 || d > 0 && d < time.Second {
		return 0, usagef("--age %q: is not a duration such as 30d, 36h or 90m, at least 1s, or off", s)
	}
	return d, nil
}

// formatAge writes what parseAge reads.
func formatAge(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = strings.TrimSuffix(s, zero[1:])
		}
	}
	return s
}

var sizeUnits = []struct {
	name  string
	bytes uint64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// parseSize reads a number of bytes with a unit or without, and 0 or off for none.
func parseSize(s string) (uint64, error) {
	if s == "off" {
		return 0, nil
	}
	digits, unit := s, uint64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			digits, unit = rest, u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > (1<<63-1)/unit {
		return 0, usagef("--bytes %q: is not a size such as 500MiB, 100GiB or 2TiB, or off", s)
	}
	return n * unit, nil
}

func formatSize(n uint64) string {
	for _, u := range sizeUnits {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatUint(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatUint(n, 10) + "B"
}

// parseEvents reads a number of events, and 0 or off for none.
func parseEvents(s string) (uint64, error) {
	if s == "off" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, usagef("--events %q: is not a number of events, or off", s)
	}
	return n, nil
}
