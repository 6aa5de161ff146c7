package api

import (
	"context"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// commit executes one commit and answers with its result, or with the error
// that it ended with.
func (s *service) commit(ctx context.Context, f *commitFrame) (*commitResultFrame, error) {
	if f.Err != nil {
		return nil, invalid(f.Err)
	}
	result, err := s.execute(ctx, f.Bytes)
	if err != nil {
		return nil, err
	}
	return &commitResultFrame{Bytes: result}, nil
}

// execute submits one commit and waits for its result, encoded. An error of the
// commit itself is returned as such.
func (s *service) execute(ctx context.Context, commit []byte) ([]byte, error) {
	type answer struct {
		result []byte
		err    *event.Error
	}
	answers := make(chan answer, 1)
	s.cfg.Node.Submit([][]byte{commit}, func(_ int, result []byte, err *event.Error) {
		answers <- answer{result, err}
	})
	s.metrics.commits.Inc()
	select {
	case a := <-answers:
		if a.err != nil {
			return nil, a.err
		}
		return a.result, resultError(a.result)
	case <-ctx.Done():
		return nil, event.Errorf(event.CodeOutcomeUnknown,
			"the request ended before the result came; the commit may take effect")
	}
}

func resultError(result []byte) error {
	failure, err := wire.ResultError(result)
	if err != nil {
		return err
	}
	if failure == nil {
		return nil
	}
	e, err := event.DecodeError(failure)
	if err != nil {
		return err
	}
	return e
}
