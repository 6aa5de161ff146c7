package api

import (
	"context"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

func (s *service) getRetention(ctx context.Context, f *getRetentionFrame) (*edriv1.RetentionResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	fresh, err := newFreshness(request.Consistency, 0)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, fresh); err != nil {
		return nil, err
	}
	return s.retention()
}

func (s *service) setRetention(ctx context.Context, f *setRetentionFrame) (*edriv1.RetentionResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	change := consensus.RetentionChange{Bytes: request.Bytes, Events: request.Events}
	if request.Age != nil {
		if *request.Age < 0 {
			return nil, event.Errorf(event.CodeInvalid, "age %d: is negative", *request.Age)
		}
		age := time.Duration(*request.Age)
		change.Age = &age
	}
	if change == (consensus.RetentionChange{}) {
		return nil, event.Errorf(event.CodeInvalid, "neither age nor bytes nor events is given: nothing to set")
	}
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	if err := s.cfg.Node.SetRetention(ctx, change); err != nil {
		return nil, err
	}
	return s.retention() // this node has applied it
}

func (s *service) retention() (*edriv1.RetentionResponse, error) {
	v := s.cfg.Node.View()
	defer v.Close()
	r, err := v.Retention()
	if err != nil {
		return nil, err
	}
	return &edriv1.RetentionResponse{
		Age: int64(r.Age), Bytes: r.Bytes, Events: r.Events,
		FirstPosition: uint64(v.Mark.First), LastPosition: uint64(v.Mark.Last),
	}, nil
}

func (s *service) purgeStream(ctx context.Context, f *purgeStreamFrame) (*edriv1.PurgeStreamResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	if err := s.cfg.Node.PurgeStream(ctx, request.Stream, event.Revision(request.Before)); err != nil {
		return nil, err
	}
	return &edriv1.PurgeStreamResponse{}, nil
}
