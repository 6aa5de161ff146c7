package client

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

const (
	// locateTimeout bounds the question who leads.
	locateTimeout = 1 * time.Second
	// watchInterval is how often a lane that is used asks whether another node
	// leads by now: the old one forwards, which costs more.
	watchInterval = 2 * time.Second
	// maxWatch is how seldom it asks where the leader cannot be reached from here.
	maxWatch = 1 * time.Minute
)

// locate asks who leads, and in which epoch. Where the leader is not known, or
// was not to be reached a moment ago, the server that answered will do: it
// forwards.
func (c *Client) locate(ctx context.Context) (*server, []byte, *event.Error) {
	n := c.servers.towardsLeader()
	status, err := n.askStatus(ctx)
	if err != nil {
		c.lost(n, err, false)
		return nil, nil, err
	}
	if len(status.Epoch) == 0 {
		c.servers.failedAt(n)
		return nil, nil, event.Errorf(event.CodeUnavailable, "server %s has not started yet: %s", n.url, status.Reason)
	}
	c.servers.learn(status.Members)
	if leader := c.servers.named(status.LeaderUrl); leader != nil {
		n = leader
	}
	return n, status.Epoch, nil
}

// learnMembers makes the client ask for the cluster's members from its first read
// on: one that only reads is to outlive the servers that it was told of.
func (c *Client) learnMembers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.learning || c.closed {
		return
	}
	c.learning = true
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		c.keepLearning()
	}()
}

// keepLearning asks the server that is read from, at once and then from time to
// time, until the client is closed.
func (c *Client) keepLearning() {
	for {
		wait := c.watchEvery
		if status, err := c.servers.any().askStatus(c.ctx); err == nil {
			c.servers.learn(status.Members)
			wait = maxWatch
		}
		select {
		case <-c.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (n *server) askStatus(ctx context.Context) (*edriv1.StatusResponse, *event.Error) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	response, err := n.status.CallUnary(ctx, connect.NewRequest(&edriv1.StatusRequest{}))
	if err != nil {
		return nil, fromRPC(err)
	}
	return response.Msg, nil
}

// lost notes that a server did not serve, and who leads if it said so. answered:
// the error is the server's own, so that it lives, and may serve in a moment.
func (c *Client) lost(n *server, err *event.Error, answered bool) {
	switch err.Code {
	case event.CodeUnavailable:
		if answered {
			c.servers.passOver(n)
			return
		}
		c.servers.failedAt(n)
	case event.CodeNotLeader, event.CodeDeadlineExceeded:
		c.servers.failedAt(n)
		c.servers.named(err.Leader)
	}
}

// watch returns the leader's URL when it is another than n's and answers, empty
// when ctx ends.
func (l *lane) watch(ctx context.Context, n *server) string {
	interval, seen := l.client.watchEvery, l.sequence()
	for {
		select {
		case <-ctx.Done():
			return ""
		case <-time.After(interval):
		}
		now := l.sequence()
		if now == seen {
			continue // nobody writes
		}
		seen = now
		status, err := n.askStatus(ctx)
		if err != nil {
			continue // the stream will notice
		}
		l.client.servers.learn(status.Members)
		leader := l.client.servers.named(status.LeaderUrl)
		if leader == nil || leader.url == n.url {
			continue
		}
		if _, err := leader.askStatus(ctx); err == nil {
			return leader.url
		}
		l.client.servers.failedAt(leader)
		interval = min(2*interval, maxWatch)
	}
}
