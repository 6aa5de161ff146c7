package api

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
)

func (s *service) removeMember(ctx context.Context, f *removeFrame) (*edriv1.MemberResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	id, err := s.cfg.Node.RemoveMember(ctx, request.Member, request.Force)
	if err != nil {
		return nil, err
	}
	return &edriv1.MemberResponse{ServerId: id}, nil
}

func (s *service) replaceMember(ctx context.Context, f *replaceFrame) (*edriv1.MemberResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	set := s.cfg.Node.ExpectReplacement
	if request.Cancel {
		set = s.cfg.Node.ForgetReplacement
	}
	id, err := set(ctx, request.Member, request.NodeName)
	if err != nil {
		return nil, err
	}
	return &edriv1.MemberResponse{ServerId: id}, nil
}

// silence is how long ago a member answered, -1 for never.
func silence(at time.Time) int64 {
	if at.IsZero() {
		return -1
	}
	return time.Since(at).Milliseconds()
}

var changeKinds = map[consensus.ChangeKind]string{
	consensus.ChangeJoin: "join", consensus.ChangeRemove: "remove", consensus.ChangeReplace: "replace",
}

// addChanges adds what is being changed about the members.
func addChanges(response *edriv1.StatusResponse, status consensus.Status) {
	if c := status.Change; c != nil {
		response.Change = &edriv1.MemberChange{Text: c.String(), Kind: changeKinds[c.Kind], NewId: c.New, OldId: c.Old, Began: c.Began}
	}
	for _, name := range slices.Sorted(maps.Keys(status.Expected)) {
		response.Replacements = append(response.Replacements, &edriv1.Replacement{NodeName: name, OldId: status.Expected[name]})
	}
}
