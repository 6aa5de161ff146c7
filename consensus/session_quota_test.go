package consensus_test

import (
	"fmt"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// What never expires is bounded too: a program that makes up a producer's name for
// each run is told, before it has filled every node's memory. What is known already
// still opens, also after a restart.
func TestSessionsAndProducersAreBounded(t *testing.T) {
	t.Parallel()
	session := func(int) *edriv1.Op {
		return &edriv1.Op{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}}
	}
	producer := func(i int) *edriv1.Op {
		return &edriv1.Op{Op: &edriv1.Op_OpenProducer{OpenProducer: &edriv1.OpenProducer{Name: fmt.Sprint("p", i)}}}
	}
	for name, tc := range map[string]struct {
		open func(i int) *edriv1.Op
		most int
	}{
		"sessions":  {session, consensus.MaxSessions},
		"producers": {producer, consensus.MaxProducers},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			var entry [][]byte
			for i := range tc.most {
				if entry = append(entry, h.seal(alone(tc.open(i)))); len(entry) == 1000 {
					h.raw(entry...)
					entry = entry[:0]
				}
			}
			h.raw(entry...)
			for _, reopen := range []bool{false, true} {
				if reopen {
					h.reopen(true)
				}
				e := h.one(alone(tc.open(tc.most))).Error
				if e.GetCode() != string(event.CodeQuotaExceeded) || e.GetSize() != uint64(tc.most) || e.GetMax() != uint64(tc.most) {
					t.Errorf("one more: got %v, want quota_exceeded with both numbers", e)
				}
				if name == "producers" {
					if r := h.one(alone(tc.open(7))); r.Error != nil {
						t.Errorf("one that is known: got %v", r.Error)
					}
				}
			}
			other := map[string]func(int) *edriv1.Op{"sessions": producer, "producers": session}[name]
			if r := h.one(alone(other(tc.most))); r.Error != nil {
				t.Errorf("one of the other kind: got %v", r.Error)
			}
		})
	}
}
