package server

import (
	"errors"
	"fmt"
	"slices"

	"github.com/edri-io/edri/consensus"
)

// problem is what is wrong with one setting.
type problem struct {
	setting string
	err     error
}

func wrong(setting, format string, args ...any) *problem {
	return &problem{setting, fmt.Errorf(format, args...)}
}

// check finds what is wrong with the settings together; each by itself was
// checked when it was read.
func (c *Config) check() *problem {
	for _, find := range []func() *problem{c.checkIdentity, c.checkAddresses, c.checkPeers, c.checkExposure, c.checkSizes} {
		if p := find(); p != nil {
			return p
		}
	}
	return nil
}

func (c *Config) checkIdentity() *problem {
	if c.NodeID == "" {
		return wrong("node-id", "is needed: the name of this node, such as n1")
	}
	if err := checkNodeID(c.NodeID); err != nil {
		return &problem{"node-id", err}
	}
	if c.DataDir == "" {
		return wrong("data-dir", "is needed: the folder for what the node stores")
	}
	return nil
}

func (c *Config) checkAddresses() *problem {
	if err := checkListenAddress(c.Listen); err != nil {
		return &problem{"listen", err}
	}
	if err := checkListenAddress(c.RaftListen); err != nil {
		return &problem{"raft-listen", err}
	}
	if c.Listen == c.RaftListen {
		return wrong("raft-listen", "is the same as listen: %s", c.Listen)
	}
	if c.Advertise != "" {
		if err := checkAPIAddress(c.Advertise); err != nil {
			return &problem{"advertise", err}
		}
	} else if checkDialAddress(c.Listen) != nil {
		return wrong("advertise", "is needed, since clients cannot dial the listen address %s", c.Listen)
	}
	if c.RaftAdvertise != "" {
		if err := checkDialAddress(c.RaftAdvertise); err != nil {
			return &problem{"raft-advertise", err}
		}
	} else if checkDialAddress(c.RaftListen) != nil {
		return wrong("raft-advertise", "is needed, since nodes cannot dial raft-listen %s", c.RaftListen)
	}
	return nil
}

func (c *Config) checkPeers() *problem {
	if len(c.Join) > 0 {
		return nil // peers, if any, are where members may be found
	}
	if c.Replace != "" {
		return wrong("replace", "goes with join, the API of a member of the cluster")
	}
	if len(c.Peers) == 0 {
		return wrong("peers", "is needed: the raft address of each node, such as %s=%s for a cluster of one; or join, to join a cluster", c.NodeID, c.raftAddress())
	}
	if n := len(c.Peers); n != 1 && n != 3 && n != 5 {
		return wrong("peers", "has %d nodes: a cluster has 1, 3 or 5", n)
	}
	i := slices.IndexFunc(c.Peers, func(p Peer) bool { return p.ID == c.NodeID })
	if i < 0 {
		return wrong("peers", "has no node %s, which is this one (node-id)", c.NodeID)
	}
	if c.Peers[i].Address != c.raftAddress() && !consensus.HasIdentity(c.DataDir) {
		return wrong("peers", "has %s at %s, but this node is reached at %s (raft-advertise, else raft-listen)",
			c.NodeID, c.Peers[i].Address, c.raftAddress())
	}
	return nil
}

// checkExposure keeps a node without TLS to its own machine, unless told.
func (c *Config) checkExposure() *problem {
	if c.Insecure {
		return nil
	}
	const advice = "is not on the loopback interface, and without TLS anyone who reaches it can read, write and " +
		"pretend to be a node: use a loopback address, or set insecure if the network itself is trusted"
	addresses := []struct{ setting, address string }{{"listen", c.Listen}, {"raft-listen", c.RaftListen}}
	for _, p := range c.Peers {
		addresses = append(addresses, struct{ setting, address string }{"peers", p.Address})
	}
	for _, a := range addresses {
		if !IsLoopback(a.address) {
			return wrong(a.setting, "%s %s", a.address, advice)
		}
	}
	return nil
}

func (c *Config) checkSizes() *problem {
	switch {
	case c.Limits.EventData >= c.Limits.Commit:
		return wrong("max-event-bytes", "%s is not below max-commit-bytes, %s",
			formatBytes(int64(c.Limits.EventData)), formatBytes(int64(c.Limits.Commit)))
	case c.ElectionTimeout < c.HeartbeatTimeout:
		return wrong("election-timeout", "%s is below heartbeat-timeout, %s",
			formatDuration(c.ElectionTimeout), formatDuration(c.HeartbeatTimeout))
	case c.LeaseTimeout > c.HeartbeatTimeout:
		return wrong("lease-timeout", "%s is above heartbeat-timeout, %s",
			formatDuration(c.LeaseTimeout), formatDuration(c.HeartbeatTimeout))
	}
	return nil
}

// Check returns what is wrong with a Config that was not made by Load.
func (c Config) Check() error {
	if p := c.check(); p != nil {
		return errors.Join(ErrConfig, fmt.Errorf("%s %w", p.setting, p.err))
	}
	return nil
}
