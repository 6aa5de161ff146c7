package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows/engine"
)

// Bounds of one List of runs.
const (
	defaultRuns = 100
	maxRuns     = 1000
)

func (s *service) listRuns(ctx context.Context, f *wire.Frame[edriv1.ListRunsRequest]) (*edriv1.ListRunsResponse, error) {
	m, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	limit, err := listed("runs", m.Limit, defaultRuns, maxRuns)
	if err != nil {
		return nil, err
	}
	if err := s.awaitKeys(ctx, m.Consistency, m.MinPosition); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	page, more, err := engine.List(v, m.Filter, limit, m.Cursor)
	if err != nil {
		return nil, err
	}
	response := &edriv1.ListRunsResponse{Cursor: more}
	for i := range page {
		response.Runs = append(response.Runs, runMessage(&page[i].Run, &page[i].Details))
	}
	return response, nil
}

// maxResets is how often a reset is tried while the run goes on.
const maxResets = 10

// resetRun collects the signals that are to be received again, and proposes the reset. It
// is refused, and tried again, where the run went on meanwhile.
func (s *service) resetRun(ctx context.Context, f *wire.Frame[edriv1.ResetRun]) (*edriv1.RunStarted, error) {
	m, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	if len(m.Signals) > 0 || m.Through != 0 {
		return nil, event.Errorf(event.CodeInvalid, "signals and through: are collected here")
	}
	if err := s.await(ctx, freshness{linearizable: true}); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		body, err := s.resetOp(m)
		if err != nil {
			return nil, err
		}
		r, err := s.executeOp(ctx, opResetRun, body)
		if event.CodeOf(err) != event.CodeRevisionConflict || try == maxResets {
			return r.GetRunStarted(), err
		}
		if err := s.await(ctx, freshness{linearizable: true}); err != nil {
			return nil, err
		}
	}
}

// resetOp is the operation, with what the node adds.
func (s *service) resetOp(m *edriv1.ResetRun) ([]byte, error) {
	op := &edriv1.ResetRun{Id: m.Id, Number: m.Number, Revision: m.Revision, Reason: m.Reason, DropSignals: m.DropSignals}
	v := s.cfg.Node.View()
	defer v.Close()
	info, err := engine.ResetInfoOf(v, m.Id, m.Number, event.Revision(m.Revision), m.DropSignals)
	if err != nil {
		return nil, err
	}
	op.Number, op.Through = info.Number, uint64(info.Through)
	for _, signal := range info.Signals {
		op.Signals = append(op.Signals, &edriv1.RunSignal{Name: signal.Name, Input: string(signal.Input)})
	}
	return proto.Marshal(op)
}
