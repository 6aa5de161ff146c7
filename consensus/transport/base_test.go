package transport

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
)

func TestCallsBelowTheBaseAreMovedAboveIt(t *testing.T) {
	t.Parallel()
	// Entries from first to last, all of term 3.
	call := func(prev uint64, entries ...uint64) *raft.AppendEntriesRequest {
		req := &raft.AppendEntriesRequest{Term: 5, PrevLogEntry: prev, PrevLogTerm: 3}
		for _, index := range entries {
			req.Entries = append(req.Entries, &raft.Log{Index: index, Term: 3})
		}
		return req
	}
	for name, test := range map[string]struct {
		base, term uint64
		req, want  *raft.AppendEntriesRequest
	}{
		"no base":              {0, 0, call(4, 5, 6), call(4, 5, 6)},
		"from the first entry": {7, 3, call(0, 1, 2), call(7)},
		"all below":            {7, 3, call(4, 5, 6), call(7)},
		"up to the base":       {7, 3, call(5, 6, 7), call(7)},
		"across":               {7, 3, call(5, 6, 7, 8, 9), call(7, 8, 9)},
		"at the base":          {7, 3, call(7, 8, 9), call(7, 8, 9)},
		"above":                {7, 3, call(8, 9), call(8, 9)},
		"another base":         {7, 4, call(5, 6, 7, 8), call(5, 6, 7, 8)},
		"an old leader":        {7, 6, call(4, 5, 6), call(4, 5, 6)},
		"nothing to append":    {7, 3, call(4), call(4)},
		"a gap":                {7, 3, call(4, 9), call(4, 9)},
	} {
		sent := *test.req
		got := Base(func() (uint64, uint64) { return test.base, test.term }).aboveBase(raft.RPC{Command: test.req})
		if got, want := describe(got.Command.(*raft.AppendEntriesRequest)), describe(test.want); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		if describe(&sent) != describe(test.req) {
			t.Errorf("%s: the sender's copy was changed to %s", name, describe(test.req))
		}
	}
}

func describe(req *raft.AppendEntriesRequest) string {
	s := fmt.Sprintf("after %d of term %d:", req.PrevLogEntry, req.PrevLogTerm)
	for _, e := range req.Entries {
		s += fmt.Sprint(" ", e.Index)
	}
	return s
}
