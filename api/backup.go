package api

import (
	"context"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/consensus/backup"
	"github.com/edri-io/edri/event"
)

// backupPiece is how many bytes of a backup go into one message.
const backupPiece = 256 << 10

func (s *service) backup(ctx context.Context, r *connect.Request[backupFrame], stream *connect.ServerStream[edriv1.BackupResponse]) error {
	message, err := r.Msg.Message()
	if err != nil {
		return invalid(err)
	}
	request, err := newBackupRequest(message)
	if err != nil {
		return err
	}
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	w := &pieces{send: func(data []byte) error { return stream.Send(&edriv1.BackupResponse{Data: data}) }}
	if err := s.cfg.Node.Backup(ctx, request, w); err != nil {
		if ctx.Err() != nil {
			return s.whyEnded(ctx.Err())
		}
		return err
	}
	return w.flush()
}

// newBackupRequest checks a request.
func newBackupRequest(m *edriv1.BackupRequest) (consensus.BackupRequest, error) {
	r := consensus.BackupRequest{Have: map[[32]byte]backup.Ancestor{}, Rate: int64(m.Rate), Stale: m.Stale}
	if r.Rate < 0 {
		return r, event.Errorf(event.CodeInvalid, "rate %d: too large", m.Rate)
	}
	for _, b := range m.Since {
		if !backup.ValidID(b.Id) {
			return r, event.Errorf(event.CodeInvalid, "since: %q is not the id of a backup", b.Id)
		}
		if err := event.CheckName("backup", b.Name); err != nil {
			return r, err
		}
		for _, d := range b.Digests {
			if len(d) != 32 {
				return r, event.Errorf(event.CodeInvalid, "since: digest of %d bytes, must be 32", len(d))
			}
			r.Have[[32]byte(d)] = backup.Ancestor{ID: b.Id, Name: b.Name}
		}
	}
	return r, nil
}

// pieces sends what is written to it in messages of some size.
type pieces struct {
	send func(data []byte) error
	buf  []byte
}

func (p *pieces) Write(b []byte) (int, error) {
	p.buf = append(p.buf, b...)
	if len(p.buf) >= backupPiece {
		return len(b), p.flush()
	}
	return len(b), nil
}

func (p *pieces) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	err := p.send(p.buf)
	p.buf = p.buf[:0]
	return err
}
