package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Status is what a node says of itself, as far as tests need it.
type Status struct {
	NodeID       string   `json:"nodeId"`
	Role         string   `json:"role"`
	Term         uint64   `json:"term,string"`
	LeaderID     string   `json:"leaderId"`
	LeaderURL    string   `json:"leaderUrl"`
	LastPosition uint64   `json:"lastPosition,string"`
	AppliedIndex uint64   `json:"appliedIndex,string"`
	DurableIndex uint64   `json:"durableIndex,string"`
	Members      []Member `json:"members"`
	Ready        bool     `json:"ready"`
	Reason       string   `json:"reason"`
	Alarms       []string `json:"alarms"`
	FeatureLevel uint32   `json:"featureLevel"`
	Diverged     bool     `json:"diverged"`
}

// Member is one voter as a node knows it.
type Member struct {
	ServerID string `json:"serverId"`
	APIURL   string `json:"apiUrl"`
}

// askTimeout bounds one question to a node, which may be paused.
const askTimeout = time.Second

// Status asks the node, over the API's JSON form: what any HTTP client sees.
func (n *Node) Status(ctx context.Context) (Status, error) {
	body, err := n.do(ctx, http.MethodPost, "/edri.v1.Cluster/Status", "{}")
	if err != nil {
		return Status{}, err
	}
	var s Status
	if err := json.Unmarshal(body, &s); err != nil {
		return Status{}, fmt.Errorf("decode status of node %s: %w", n.Name, err)
	}
	return s, nil
}

// Ready asks /readyz.
func (n *Node) Ready(ctx context.Context) error {
	_, err := n.do(ctx, http.MethodGet, "/readyz", "")
	return err
}

// WaitReady waits until /readyz answers 200. It gives up when the process ends.
func (n *Node) WaitReady(ctx context.Context) error {
	return n.waitUntil(ctx, "be ready", func() error { return n.Ready(ctx) })
}

// WaitPosition waits until the node has applied the journal up to a position.
func (n *Node) WaitPosition(ctx context.Context, position uint64) error {
	return n.waitUntil(ctx, fmt.Sprintf("apply position %d", position), func() error {
		s, err := n.Status(ctx)
		if err == nil && s.LastPosition < position {
			err = fmt.Errorf("it is at %d", s.LastPosition)
		}
		return err
	})
}

func (n *Node) waitUntil(ctx context.Context, what string, holds func() error) error {
	for {
		err := holds()
		if err == nil {
			return nil
		}
		if !n.Running() {
			code, _ := n.WaitExit(ctx) // it has ended, so this does not wait
			return fmt.Errorf("wait for node %s to %s: it ended with exit code %d, see %s", n.Name, what, code, n.LogPath)
		}
		if ended := poll(ctx); ended != nil {
			return fmt.Errorf("wait for node %s to %s: %w; last: %w", n.Name, what, ended, err)
		}
	}
}

// do sends one request and returns the body of a 200.
func (n *Node) do(ctx context.Context, method, path, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, n.URL()+path, bytes.NewBufferString(body))
	if err != nil {
		return nil, fmt.Errorf("ask node %s: %w", n.Name, err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask node %s: %w", n.Name, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("ask node %s: %w", n.Name, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask node %s for %s: %s: %s", n.Name, path, resp.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
}
