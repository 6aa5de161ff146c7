package api

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers/kv"
)

type getManyFrame = wire.Frame[edriv1.GetManyKeysRequest]

// Bounds of one GetMany.
const (
	maxManyKeys  = 1000
	maxManyBytes = 1 << 20 // of values; the one with which it is reached still comes
)

// getManyKeys reads keys in one view, after one wait for all of them: what many readers
// ask for at a time costs little more than what one does.
func (s *service) getManyKeys(ctx context.Context, f *getManyFrame) (*edriv1.GetManyKeysResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	if n := len(request.Keys); n > maxManyKeys {
		return nil, event.TooLarge("keys", int64(n), maxManyKeys)
	}
	if err := s.awaitKeys(ctx, request.Consistency, request.MinPosition); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	response := &edriv1.GetManyKeysResponse{Position: uint64(v.Journal().Last()), Found: make([]*edriv1.KeyFound, 0, len(request.Keys))}
	size := 0
	for _, k := range request.Keys {
		if size >= maxManyBytes {
			break
		}
		err := checkKeyOf(k.Bucket, k.Key)
		var e kv.Entry
		if err == nil {
			e, err = kv.Get(v, k.Bucket, k.Key)
		}
		found, err := keyFound(&e, err)
		if err != nil {
			return nil, err
		}
		response.Found = append(response.Found, found)
		size += len(e.Value)
	}
	return response, nil
}

// keyFound is a key, or why there is none. What is no *event.Error fails the whole read.
func keyFound(e *kv.Entry, err error) (*edriv1.KeyFound, error) {
	if err == nil {
		return &edriv1.KeyFound{Found: &edriv1.KeyFound_Entry{Entry: entryMessage(e)}}, nil
	}
	var own *event.Error
	if !errors.As(err, &own) {
		return nil, err
	}
	m := &edriv1.Error{}
	if err := proto.Unmarshal(event.AppendError(nil, own), m); err != nil {
		return nil, err
	}
	return &edriv1.KeyFound{Found: &edriv1.KeyFound_Error{Error: m}}, nil
}
