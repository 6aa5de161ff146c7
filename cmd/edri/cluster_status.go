package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "See how the cluster is, and change who belongs to it"}
	a.group(cmd)
	cmd.AddCommand(a.clusterStatusCommand(), a.clusterRemoveCommand(), a.clusterReplaceCommand())
	return cmd
}

func (a *app) clusterStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show every node: role, how far it is, whether it is ready",
		Long: `Ask the nodes of --server, and those that they name, each for itself. A node
that does not answer is shown with the reason; if none answers the exit code is 5.`,
		Example: `  edri cluster status
  edri cluster status --output json`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error { return a.clusterStatus(ctx) }),
	}
}

// askEachFor bounds the question to one node, so that one that hangs does not
// hold up the others.
const askEachFor = 2 * time.Second

// nodeAnswer is what came of asking one node.
type nodeAnswer struct {
	url    string
	status client.Status
	err    error
}

func (a *app) clusterStatus(ctx context.Context) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	answers := a.askNodes(ctx, c, c.Servers())
	var failed []error
	for _, n := range answers {
		if n.err == nil {
			return a.writeStatus(answers)
		}
		failed = append(failed, fmt.Errorf("%s: %w", n.url, n.err))
	}
	return event.Errorf(event.CodeUnavailable, "no node answers: %v", strings.ReplaceAll(errors.Join(failed...).Error(), "\n", "; "))
}

// askNodes asks the nodes and then those that they name as members.
func (a *app) askNodes(ctx context.Context, c *client.Client, urls []string) []nodeAnswer {
	answers := askAll(ctx, c, urls, min(askEachFor, a.timeout))
	known := map[string]bool{}
	for _, n := range answers {
		known[n.url] = true
		for _, m := range n.status.Members {
			// The node that answers knows its own URL by another name perhaps.
			known[m.APIURL] = known[m.APIURL] || m.ServerID == n.status.NodeID
		}
	}
	var others []string
	for _, n := range answers {
		for _, m := range n.status.Members {
			if m.APIURL != "" && !known[m.APIURL] {
				known[m.APIURL] = true
				others = append(others, m.APIURL)
			}
		}
	}
	answers = append(answers, askAll(ctx, c, others, min(askEachFor, a.timeout))...)
	slices.SortStableFunc(answers, func(x, y nodeAnswer) int { return strings.Compare(x.status.NodeID, y.status.NodeID) })
	return slices.CompactFunc(answers, func(x, y nodeAnswer) bool {
		return x.status.NodeID != "" && x.status.NodeID == y.status.NodeID
	})
}

func askAll(ctx context.Context, c *client.Client, urls []string, each time.Duration) []nodeAnswer {
	answers := make([]nodeAnswer, len(urls))
	var asking sync.WaitGroup
	for i, u := range urls {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, each)
			defer cancel()
			s, err := c.StatusOf(ctx, u)
			answers[i] = nodeAnswer{u, s, err}
		})
	}
	asking.Wait()
	return answers
}

// nodeInfo is one node as JSON.
type nodeInfo struct {
	URL           string         `json:"url"`
	Error         string         `json:"error,omitempty"`
	NodeID        string         `json:"node_id,omitempty"`
	Version       string         `json:"version,omitempty"`
	Epoch         string         `json:"epoch,omitempty"`
	Role          string         `json:"role,omitempty"`
	Term          uint64         `json:"term,string"`
	LeaderID      string         `json:"leader_id,omitempty"`
	LeaderURL     string         `json:"leader_url,omitempty"`
	CommitIndex   uint64         `json:"commit_index,string"`
	AppliedIndex  uint64         `json:"applied_index,string"`
	DurableIndex  uint64         `json:"durable_index,string"`
	FirstPosition event.Position `json:"first_position,string"`
	LastPosition  event.Position `json:"last_position,string"`
	LastStamp     *time.Time     `json:"last_stamp,omitempty"`
	Ready         bool           `json:"ready"`
	Reason        string         `json:"reason,omitempty"`
	Change        string         `json:"change,omitempty"`
	// Replacements are server ids by the name of the node that is to come.
	Replacements map[string]string `json:"replacements,omitempty"`
	Members      []memberInfo      `json:"members,omitempty"`
	Alarms       []string          `json:"alarms,omitempty"`
	FeatureLevel uint32            `json:"feature_level"`
	Diverged     bool              `json:"diverged"`
}

type memberInfo struct {
	ServerID    string     `json:"server_id"`
	RaftAddress string     `json:"raft_address"`
	APIURL      string     `json:"api_url"`
	Voter       bool       `json:"voter"`
	Leader      bool       `json:"leader"`
	Pulse       *pulseInfo `json:"pulse,omitempty"`
	MatchIndex  uint64     `json:"match_index,string"` // 0: not known
}

func newNodeInfo(n nodeAnswer) nodeInfo {
	if n.err != nil {
		return nodeInfo{URL: n.url, Error: n.err.Error()}
	}
	s := n.status
	info := nodeInfo{
		URL: n.url, NodeID: s.NodeID, Version: s.Version, Epoch: s.Epoch.String(), Role: s.Role, Term: s.Term,
		LeaderID: s.LeaderID, LeaderURL: s.LeaderURL,
		CommitIndex: s.CommitIndex, AppliedIndex: s.AppliedIndex, DurableIndex: s.DurableIndex,
		FirstPosition: s.FirstPosition, LastPosition: s.LastPosition, Ready: s.Ready, Reason: s.Reason,
		Alarms: s.Alarms, FeatureLevel: s.FeatureLevel, Diverged: s.Diverged, Replacements: s.Replacements,
	}
	if s.Change != nil {
		info.Change = s.Change.Text
	}
	if !s.LastStamp.IsZero() {
		info.LastStamp = &s.LastStamp
	}
	for _, m := range s.Members {
		info.Members = append(info.Members, memberInfo{
			ServerID: m.ServerID, RaftAddress: m.RaftAddress, APIURL: m.APIURL, Voter: m.Voter, Leader: m.Leader,
			Pulse: newPulseInfo(m.Pulse), MatchIndex: m.MatchIndex,
		})
	}
	return info
}

func (a *app) writeStatus(answers []nodeAnswer) error {
	if a.output != outputText {
		infos := make([]nodeInfo, len(answers))
		for i, n := range answers {
			infos[i] = newNodeInfo(n)
		}
		if a.output == outputJSON {
			return a.writeJSON(infos)
		}
		for _, info := range infos {
			if err := a.writeJSON(info); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tURL\tROLE\tTERM\tAPPLIED\tDURABLE\tFIRST\tLAST POSITION\tCLOCK\tFREE\tLEVEL\tREADY")
	for _, n := range answers {
		s := n.status
		if n.err != nil {
			fmt.Fprintf(table, "-\t%s\t-\t-\t-\t-\t-\t-\t-\t-\t-\tno answer: %s\n", n.url, printable(n.err.Error()))
			continue
		}
		ready := "yes"
		if !s.Ready {
			ready = "no: " + s.Reason
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", printable(s.NodeID), n.url, printable(s.Role), s.Term,
			s.AppliedIndex, s.DurableIndex, s.FirstPosition, s.LastPosition, clockText(ownPulse(s)), diskText(ownPulse(s)), levelText(s), printable(ready))
	}
	if err := wrapWrite(table.Flush()); err != nil {
		return err
	}
	if err := a.writeMembers(answers); err != nil {
		return err
	}
	return a.writeAlarms(answers)
}
