package api

import (
	"context"
	"errors"
	"io"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers/kv"
)

type (
	getManyFrame = wire.Frame[edriv1.GetManyKeysRequest]
	foundFrame   = wire.Frame[edriv1.GetManyKeysResponse]
)

// Bounds of one GetMany.
const (
	maxManyKeys  = 1000
	maxManyBytes = 1 << 20 // of the answer; the key with which it is reached still comes
)

func (s *service) getManyKeys(ctx context.Context, f *getManyFrame) (*foundFrame, error) {
	if f.Err != nil {
		return nil, invalid(f.Err)
	}
	var g getMany
	found, err := g.answer(ctx, s, f.Bytes)
	return &foundFrame{Bytes: found}, err
}

// getKeyStream answers one request after the other. Those that come while one is
// answered wait in the connection.
func (s *service) getKeyStream(ctx context.Context, stream *connect.BidiStream[getManyFrame, foundFrame]) error {
	defer s.stopReadingWithNode(ctx)()
	var g getMany
	for {
		f, err := stream.Receive()
		switch {
		case s.cfg.Lifetime.Err() != nil:
			return s.whyEnded(s.cfg.Lifetime.Err())
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case f.Err != nil:
			return invalid(f.Err)
		}
		found, err := g.answer(ctx, s, f.Bytes)
		if err != nil {
			return err
		}
		if err := stream.Send(&foundFrame{Bytes: found}); err != nil {
			return err
		}
	}
}

// getMany answers GetMany. It may be used again, for one at a time.
type getMany struct {
	request  getManyRequest
	response []byte
	entry    []byte
}

// answer reads keys in one view, after one wait for all of them: what many readers ask
// for at a time costs little more than what one does. The answer, an
// edri.v1.GetManyKeysResponse, is good until the next.
func (g *getMany) answer(ctx context.Context, s *service, request []byte) ([]byte, error) {
	if err := g.request.decode(request); err != nil {
		return nil, err
	}
	if err := s.awaitKeys(ctx, g.request.consistency, g.request.minPosition); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	reader := kv.NewReader(v)
	if cap(g.response) > 2*maxManyBytes { // an idle stream keeps no more
		g.response, g.entry = nil, nil
	}
	g.response = g.response[:0]
	for _, k := range g.request.keys {
		if len(g.response) >= maxManyBytes {
			break
		}
		if err := g.add(&reader, k); err != nil {
			return nil, err
		}
	}
	g.response = wire.AppendFoundPosition(g.response, uint64(v.Journal().Last()))
	return g.response, nil
}

// add adds a key, or why there is none. What is no *event.Error fails the whole read.
func (g *getMany) add(r *kv.Reader, k keyPlace) (err error) {
	g.entry, err = r.AppendEntry(g.entry[:0], k.bucket, k.key)
	if err == nil {
		g.response = wire.AppendFoundEntry(g.response, g.entry)
		return nil
	}
	var own *event.Error
	if !errors.As(err, &own) {
		return err
	}
	g.entry = event.AppendError(g.entry[:0], own)
	g.response = wire.AppendFoundError(g.response, g.entry)
	return nil
}
