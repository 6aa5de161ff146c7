package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
)

func (s *service) status(_ context.Context, f *statusFrame) (*edriv1.StatusResponse, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	status, err := s.cfg.Node.Status()
	if err != nil {
		return nil, err
	}
	response := &edriv1.StatusResponse{
		NodeId: status.ServerID, Version: s.cfg.Version, Role: status.Role, Term: status.Term,
		LeaderId: status.LeaderID, LeaderUrl: status.LeaderURL,
		CommitIndex: status.CommitIndex, AppliedIndex: status.AppliedIndex, DurableIndex: status.DurableIndex,
		FirstPosition: uint64(status.FirstPosition), LastPosition: uint64(status.LastPosition),
		LastStamp: status.LastStamp,
		Ready:     status.NotReady == "", Reason: status.NotReady,
		Alarms: status.Alarms, FeatureLevel: status.FeatureLevel, Diverged: status.Diverged,
	}
	if !status.Epoch.IsZero() {
		response.Epoch = status.Epoch[:]
	}
	for _, m := range status.Members {
		response.Members = append(response.Members, &edriv1.Member{
			ServerId: m.ServerID, RaftAddress: m.RaftAddress, ApiUrl: m.APIURL, Voter: m.Voter, Leader: m.Leader,
			Pulse:      wirePulse(m.Pulse),
			MatchIndex: m.Match, SilentMilliseconds: silence(m.LastContact),
		})
	}
	addChanges(response, status)
	return response, nil
}

func wirePulse(p consensus.Pulse) *edriv1.Pulse {
	return &edriv1.Pulse{
		Known: p.Known, AgeMilliseconds: uint64(p.Age.Milliseconds()),
		ClockKnown: p.ClockKnown, ClockSkewNanoseconds: int64(p.ClockSkew),
		Stalled:       p.Stalled,
		DiskFreeBytes: p.DiskFree, DiskTotalBytes: p.DiskTotal, DiskReserveBytes: p.DiskReserve,
		FeatureLevel: p.FeatureLevel, StateIndex: p.Checkpoint.Index, StateHash: p.Checkpoint.Hash,
	}
}

// health is the body of /livez and /readyz.
type health struct {
	Status string `json:"status"` // "live", "ready" or "not ready"
	Reason string `json:"reason,omitempty"`
}

func (s *service) mountHealth(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, health{Status: "live"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch err := s.cfg.Node.Ready(); {
		case s.cfg.Lifetime.Err() != nil:
			writeJSON(w, http.StatusServiceUnavailable, health{"not ready", "the node is stopping"})
		case err != nil:
			writeJSON(w, http.StatusServiceUnavailable, health{"not ready", err.Error()})
		default:
			writeJSON(w, http.StatusOK, health{Status: "ready"})
		}
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller who is gone needs no answer
}
