package api

import (
	"context"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// Bounds of one ListStreams.
const (
	defaultStreams = 1000
	maxListed      = 10_000
)

func (s *service) get(ctx context.Context, f *getFrame) (*recordedFrame, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	fresh, err := newFreshness(request.Consistency, request.MinPosition)
	if err != nil {
		return nil, err
	}
	r, err := s.recordAt(ctx, event.Position(request.Position), fresh)
	if err != nil {
		return nil, err
	}
	return &recordedFrame{
		Bytes: wire.AppendRecorded(nil, uint64(r.Position), uint64(r.Revision), r.Stream, r.Stamp, r.Event),
	}, nil
}

// recordAt reads one record, which shares nothing with the journal.
func (s *service) recordAt(ctx context.Context, p event.Position, fresh freshness) (log.Record, error) {
	if p == 0 {
		return log.Record{}, event.Errorf(event.CodeInvalid, "position 0: positions begin at 1")
	}
	if err := s.await(ctx, fresh); err != nil {
		return log.Record{}, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	return v.Journal().Get(p)
}

func (s *service) listStreams(ctx context.Context, f *listFrame) (*edriv1.ListStreamsResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	limit := int(request.Limit)
	switch {
	case limit == 0:
		limit = defaultStreams
	case limit > maxListed:
		return nil, event.Errorf(event.CodeInvalid, "limit %d: at most %d streams at a time", limit, maxListed)
	}
	if err := checkPrefix("prefix", request.Prefix); err != nil {
		return nil, err
	}
	if err := checkPrefix("after", request.After); err != nil {
		return nil, err
	}
	fresh, err := newFreshness(request.Consistency, request.MinPosition)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, fresh); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	heads, more, err := v.Streams(request.Prefix, request.After, limit)
	if err != nil {
		return nil, err
	}
	response := &edriv1.ListStreamsResponse{More: more, Streams: make([]*edriv1.Stream, len(heads))}
	for i, h := range heads {
		response.Streams[i] = &edriv1.Stream{Name: h.Name, Revision: uint64(h.Revision), Position: uint64(h.Position)}
	}
	return response, nil
}
