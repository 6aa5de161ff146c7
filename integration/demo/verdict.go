package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"

	"github.com/edri-io/edri/integration/workload"
)

// verdict reads all histories back, prints what they hold and answers some
// queries. It is an error if anything is lost, doubled or different.
func (d *demo) verdict(ctx context.Context) error {
	histories, err := workload.Histories(ctx, d.cluster.Nodes())
	if err != nil {
		return err
	}
	report := d.ledger.Check(histories...)
	d.say("read the whole history back from each node")
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "node\tacknowledged\tstored\tlost\tduplicated\totherwise wrong\t")
	for _, n := range report.Nodes {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t\n", n.Node, report.Acknowledged, n.Stored, n.Lost, n.Duplicated, n.Wrong)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	equal := "equal"
	if !report.Equal {
		equal = "NOT EQUAL"
	}
	fmt.Printf("\nthe histories of the %d nodes are %s\n", len(report.Nodes), equal)
	for _, o := range d.outages {
		fmt.Printf("without a leader for %.2fs after %s\n", o.lasted.Seconds(), o.after)
	}
	if err := d.queries(ctx); err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("the histories do not hold:\n" + report.String())
	}
	return nil
}

// queries asks each node something about the history.
func (d *demo) queries(ctx context.Context) error {
	return d.ask(ctx, [][]string{
		{"events", "query", "--subject", "order/1215"},
		{"events", "query", "--type", "com.example.build.failed", "--reverse", "--limit", "3"},
		{"events", "query", "--correlation", "sale-1020", "--consistency", "linearizable"},
		{"streams", "show", "sensor/2-09"},
	})
}

// ask runs commands, each at another node, and prints what they say.
func (d *demo) ask(ctx context.Context, commands [][]string) error {
	for i, args := range commands {
		n := d.cluster.Nodes()[i%len(d.cluster.Nodes())]
		fmt.Printf("\n$ edri --server %s %s\n", n.URL(), strings.Join(args, " "))
		cmd := exec.CommandContext(ctx, d.cluster.Edri(), append([]string{"--server", n.URL()}, args...)...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("run edri %s: %w: %s", strings.Join(args, " "), err, &errs)
		}
		for line := range strings.Lines(out.String() + errs.String()) {
			fmt.Print("  ", shorten(strings.TrimRight(line, "\n")), "\n")
		}
	}
	return nil
}

// shorten cuts a line to what fits on a screen.
func shorten(line string) string {
	const width = 150
	if runes := []rune(line); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return line
}
