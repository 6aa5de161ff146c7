package client

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
)

// MemberChange is a change of the cluster's members that is under way.
type MemberChange struct {
	// Text says what is done, for people; Kind is join, remove or replace.
	Text, Kind string
	// NewID and OldID are server ids, empty where there is none.
	NewID, OldID string
	Began        time.Time
}

// RemoveMember takes a member, called by its name or server id, out of the
// cluster for good, and returns its server id when that is done. It fails with
// check_failed where the quorum would be lost by it and force is false. While
// another change is under way it waits its turn, up to Config.GiveUpAfter.
func (c *Client) RemoveMember(ctx context.Context, member string, force bool) (serverID string, err error) {
	err = c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.remove.CallUnary(ctx, connect.NewRequest(&edriv1.RemoveMemberRequest{Member: member, Force: force}))
		if err == nil {
			serverID = response.Msg.ServerId
		}
		return err
	})
	return serverID, err
}

// ReplaceMember lets the next node of a name, by default the member's own, take
// the place of a member whose disk is gone. It returns the member's server id.
func (c *Client) ReplaceMember(ctx context.Context, member, nodeName string) (serverID string, err error) {
	return c.replaceMember(ctx, &edriv1.ReplaceMemberRequest{Member: member, NodeName: nodeName})
}

// CancelReplacement takes ReplaceMember back, as long as the node has not come.
func (c *Client) CancelReplacement(ctx context.Context, member, nodeName string) (serverID string, err error) {
	return c.replaceMember(ctx, &edriv1.ReplaceMemberRequest{Member: member, NodeName: nodeName, Cancel: true})
}

func (c *Client) replaceMember(ctx context.Context, request *edriv1.ReplaceMemberRequest) (serverID string, err error) {
	err = c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.replace.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			serverID = response.Msg.ServerId
		}
		return err
	})
	return serverID, err
}

func addChanges(status *Status, m *edriv1.StatusResponse) {
	if c := m.Change; c != nil {
		status.Change = &MemberChange{Text: c.Text, Kind: c.Kind, NewID: c.NewId, OldID: c.OldId, Began: time.Unix(0, c.Began).UTC()}
	}
	for _, r := range m.Replacements {
		if status.Replacements == nil {
			status.Replacements = map[string]string{}
		}
		status.Replacements[r.NodeName] = r.OldId
	}
}
