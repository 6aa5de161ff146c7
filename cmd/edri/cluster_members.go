package main

import (
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/edri-io/edri/client"
)

// membersOf is the status to tell the members from: the leader's, who alone
// knows how far each is.
func membersOf(answers []nodeAnswer) (client.Status, bool) {
	best, found := client.Status{}, false
	for _, n := range answers {
		if n.err == nil && len(n.status.Members) > 0 && (!found || n.status.Role == "leader") {
			best, found = n.status, true
		}
	}
	return best, found
}

// writeMembers says who belongs to the cluster and what is being changed about it.
func (a *app) writeMembers(answers []nodeAnswer) error {
	s, found := membersOf(answers)
	if !found {
		return nil
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nMEMBER\tVOTES\tLAG\tANSWERED\tRAFT")
	for _, m := range s.Members {
		votes := "yes"
		if !m.Voter {
			votes = "not yet"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", printable(m.ServerID), votes, lagText(s, m), answeredText(s, m), printable(m.RaftAddress))
	}
	if err := wrapWrite(table.Flush()); err != nil {
		return err
	}
	if s.Change != nil {
		if _, err := fmt.Fprintf(a.stdout, "\nIn progress: %s\n", printable(s.Change.Text)); err != nil {
			return wrapWrite(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Replacements)) {
		if _, err := fmt.Fprintf(a.stdout, "\nTo come: %s, in the place of %s\n", printable(name), printable(s.Replacements[name])); err != nil {
			return wrapWrite(err)
		}
	}
	return nil
}

// lagText is how many entries of the log a member lacks.
func lagText(s client.Status, m client.Member) string {
	if s.Role != "leader" || m.MatchIndex == 0 {
		return "-"
	}
	if m.MatchIndex >= s.CommitIndex {
		return "0"
	}
	return fmt.Sprint(s.CommitIndex - m.MatchIndex)
}

func answeredText(s client.Status, m client.Member) string {
	switch {
	case m.Leader && s.Role == "leader":
		return "leads"
	case s.Role != "leader":
		return "-"
	case m.Silent < 0:
		return "never"
	case m.Silent < time.Second:
		return "now"
	}
	return fmt.Sprintf("%v ago", m.Silent.Round(time.Second))
}
