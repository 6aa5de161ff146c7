package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Config says what Start starts.
type Config struct {
	// Dir is an existing folder for data and logs: Dir/n1, Dir/n1.log and so on.
	// Required.
	Dir string
	// Binaries is the folder that holds edri-server and edri. Required; see Build.
	Binaries string
	// Nodes is their number. Default 3.
	Nodes int
	// Args are further arguments of edri-server run, the same for each node.
	Args []string
	// Env are further environment variables, as NAME=value.
	Env []string
}

// Cluster is a set of nodes of which each knows the others as its peers.
type Cluster struct {
	cfg   Config
	nodes []*Node
}

// pollInterval is how often a condition that nothing announces is looked at.
const pollInterval = 20 * time.Millisecond

// Start starts all nodes, and returns without waiting until they are ready. After
// an error nothing runs.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if err := c.StartAll(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// New prepares a cluster of which no node runs yet.
func New(cfg Config) (*Cluster, error) {
	if cfg.Nodes == 0 {
		cfg.Nodes = 3
	}
	if cfg.Dir == "" || cfg.Binaries == "" {
		return nil, errors.New("start cluster: no folder for data or for binaries given")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	cfg.Dir = dir
	addresses, err := freeAddresses(2 * cfg.Nodes)
	if err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	c := &Cluster{cfg: cfg}
	var peers []string
	for i := range cfg.Nodes {
		n := c.newNode(addresses[2*i], addresses[2*i+1])
		c.nodes = append(c.nodes, n)
		peers = append(peers, n.Name+"="+n.Raft)
	}
	for _, n := range c.nodes {
		n.args = c.arguments(n, "--peers", strings.Join(peers, ","))
	}
	return c, nil
}

// newNode returns the node after those that there are.
func (c *Cluster) newNode(api, raft string) *Node {
	name := fmt.Sprintf("n%d", len(c.nodes)+1)
	return &Node{
		Process: NewProcess(name, filepath.Join(c.cfg.Dir, name+".log"), filepath.Join(c.cfg.Binaries, "edri-server"), c.cfg.Env),
		API:     api,
		Raft:    raft,
		DataDir: filepath.Join(c.cfg.Dir, name),
	}
}

func (c *Cluster) arguments(n *Node, others ...string) []string {
	args := []string{"run", "--node-id", n.Name, "--data-dir", n.DataDir, "--listen", n.API, "--raft-listen", n.Raft}
	return slices.Concat(args, others, c.cfg.Args)
}

// Join starts one more node, which joins the others. Further arguments are for it
// alone.
func (c *Cluster) Join(args ...string) (*Node, error) {
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, fmt.Errorf("join cluster: %w", err)
	}
	n := c.newNode(addresses[0], addresses[1])
	n.args = c.arguments(n, append([]string{"--join", strings.Join(c.URLs(), ",")}, args...)...)
	c.nodes = append(c.nodes, n)
	return n, n.Start()
}

// Move gives every node other ports. None may run. Those of the first set are
// told of each other's, the others where to ask.
func (c *Cluster) Move(first int) error {
	addresses, err := freeAddresses(2 * len(c.nodes))
	if err != nil {
		return fmt.Errorf("move cluster: %w", err)
	}
	var peers []string
	for i, n := range c.nodes {
		n.API, n.Raft = addresses[2*i], addresses[2*i+1]
		if i < first {
			peers = append(peers, n.Name+"="+n.Raft)
		}
	}
	for i, n := range c.nodes {
		if i < first {
			n.args = c.arguments(n, "--peers", strings.Join(peers, ","))
		} else {
			n.args = c.arguments(n, "--join", strings.Join(c.URLs(), ","))
		}
	}
	return nil
}

// Forget drops a node that has ended from the cluster.
func (c *Cluster) Forget(gone *Node) {
	c.nodes = slices.DeleteFunc(slices.Clone(c.nodes), func(n *Node) bool { return n == gone })
}

// Nodes returns all nodes, n1 first. The caller does not change the slice.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// Edri is the path of the command line's binary.
func (c *Cluster) Edri() string { return filepath.Join(c.cfg.Binaries, "edri") }

// URLs returns the API URLs of all nodes.
func (c *Cluster) URLs() []string {
	urls := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		urls[i] = n.URL()
	}
	return urls
}

// StartAll starts the nodes that do not run.
func (c *Cluster) StartAll(ctx context.Context) error {
	for _, n := range c.nodes {
		if n.Running() {
			continue
		}
		if err := n.Start(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// KillAll sends SIGKILL to every node that runs, all before it waits for any.
func (c *Cluster) KillAll() error {
	var errs []error
	var killed []*Node
	for _, n := range c.nodes {
		if n.Running() {
			errs = append(errs, n.signalKill())
			killed = append(killed, n)
		}
	}
	for _, n := range killed {
		<-n.exited()
	}
	return errors.Join(errs...)
}

// Close kills what still runs. It may be called more than once.
func (c *Cluster) Close() error { return c.KillAll() }

// WaitReady waits until every node that runs says that it is ready.
func (c *Cluster) WaitReady(ctx context.Context) error {
	for _, n := range c.nodes {
		if !n.Running() {
			continue
		}
		if err := n.WaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Leader waits until a majority of all nodes name the same running node as their
// leader and that node agrees, and returns it.
func (c *Cluster) Leader(ctx context.Context) (*Node, error) {
	for {
		if leader := c.agreedLeader(ctx); leader != nil {
			return leader, nil
		}
		if err := poll(ctx); err != nil {
			return nil, fmt.Errorf("wait for a leader: %w", err)
		}
	}
}

func (c *Cluster) agreedLeader(ctx context.Context) *Node {
	votes := map[string]int{}
	leaders := map[string]*Node{}
	for _, n := range c.nodes {
		if !n.Running() || n.Paused() {
			continue
		}
		s, err := n.Status(ctx)
		if err != nil {
			continue
		}
		votes[s.LeaderURL]++
		if s.Role == "leader" {
			leaders[n.URL()] = n
		}
	}
	for url, n := range leaders {
		if votes[url] > len(c.nodes)/2 {
			return n
		}
	}
	return nil
}

// Followers returns the running nodes other than leader.
func (c *Cluster) Followers(leader *Node) []*Node {
	var out []*Node
	for _, n := range c.nodes {
		if n != leader && n.Running() {
			out = append(out, n)
		}
	}
	return out
}

// poll waits for a moment, or until ctx ends.
func poll(ctx context.Context) error {
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
