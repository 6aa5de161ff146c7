package transport

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// A segment connection carries one sealed segment, in a connection of its own so
// that bulk does not delay what is small:
//
//	request  0   8  first position                              big-endian
//	         8  32  digest of the segment
//	answer   0   1  0 here it is, 1 there is none (or no longer),
//	                2 too many are being sent, 3 it cannot be read
//	         1   8  n, 0 unless here it is                      big-endian
//	         9   n  the file
//	       9+n  32  SHA-256 of the file
const (
	segmentRequestBytes = 8 + sha256.Size
	segmentAnswerBytes  = 1 + 8

	segmentHere   byte = 0
	segmentNone   byte = 1
	segmentBusy   byte = 2
	segmentBroken byte = 3

	// How many segments a node sends at once; others ask again.
	maxSendingSegments = 2
	// A piece is what is read, paced and sent under one deadline.
	segmentPieceBytes = 256 << 10
	// More than any segment file.
	maxSegmentFileBytes = 1 << 40

	// DefaultSegmentRate is how many bytes a second a node sends of segments, all
	// receivers together: what a follower gets is taken from the disks and the CPU
	// that clients wait for.
	DefaultSegmentRate = 96 << 20
)

var (
	// ErrNoSegment: the peer has no sealed segment of that position and digest.
	ErrNoSegment = errors.New("the peer does not have the segment")
	// ErrSegmentBusy: the peer sends enough segments already.
	ErrSegmentBusy = errors.New("the peer sends other segments")
	// ErrSegmentDamaged: the bytes that came are not those that were sent.
	ErrSegmentDamaged = errors.New("the segment was damaged on its way")

	errSegmentBroken = errors.New("the peer cannot read the segment")
)

// Segment names a sealed segment of the journal.
type Segment struct {
	First  uint64 // position
	Digest [32]byte
}

// SegmentFile is a sealed segment to be sent.
type SegmentFile interface {
	io.ReadCloser
	Size() int64
}

// FetchSegment copies a sealed segment of a peer to w and returns its size. The
// peer is dialled where Resolve says, else at the address. After an error w may
// have got a part. An error of w comes back as it is.
//
// A peer of which no byte comes for a while is given up.
func (p *Port) FetchSegment(ctx context.Context, peer raft.ServerID, address raft.ServerAddress, s Segment, w io.Writer) (int64, error) {
	if known := p.cfg.Resolve(peer); known != "" {
		address = raft.ServerAddress(known)
	}
	conn, err := p.dial(ctx, peer, string(address), forSegment)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	for _, ends := range []context.Context{ctx, p.lifetime} {
		defer context.AfterFunc(ends, func() { _ = conn.Close() })()
	}
	n, err := fetchSegment(idleConn{conn, p.cfg.callIdle}, s, w)
	if err != nil {
		return n, fmt.Errorf("fetch segment %d of %s: %w", s.First, peer, errors.Join(context.Cause(ctx), err))
	}
	return n, nil
}

func fetchSegment(conn net.Conn, s Segment, w io.Writer) (int64, error) {
	request := append(binary.BigEndian.AppendUint64(nil, s.First), s.Digest[:]...)
	if _, err := conn.Write(request); err != nil {
		return 0, fmt.Errorf("ask: %w", err)
	}
	var answer [segmentAnswerBytes]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return 0, fmt.Errorf("read answer: %w", err)
	}
	size, err := parseSegmentAnswer(answer)
	if err != nil {
		return 0, err
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(w, sum), onlyReader{io.LimitReader(conn, size)}, make([]byte, segmentPieceBytes))
	if err != nil {
		return n, err
	}
	var want [sha256.Size]byte
	if n != size {
		return n, io.ErrUnexpectedEOF
	}
	if _, err := io.ReadFull(conn, want[:]); err != nil {
		return n, fmt.Errorf("read digest: %w", err)
	}
	if [sha256.Size]byte(sum.Sum(nil)) != want {
		return n, ErrSegmentDamaged
	}
	return n, nil
}

func parseSegmentAnswer(b [segmentAnswerBytes]byte) (size int64, err error) {
	n := binary.BigEndian.Uint64(b[1:])
	switch {
	case b[0] == segmentHere && n <= maxSegmentFileBytes:
		return int64(n), nil
	case b[0] == segmentNone:
		return 0, ErrNoSegment
	case b[0] == segmentBusy:
		return 0, ErrSegmentBusy
	case b[0] == segmentBroken:
		return 0, errSegmentBroken
	}
	return 0, fmt.Errorf("%w: answer %x", ErrSegmentDamaged, b)
}

// onlyReader hides every method but Read, so that io.CopyBuffer uses its buffer.
type onlyReader struct{ io.Reader }

// serveSegment answers the request of a segment connection.
func (p *Port) serveSegment(raw net.Conn) error {
	conn := idleConn{raw, p.cfg.callIdle}
	var request [segmentRequestBytes]byte
	if _, err := io.ReadFull(conn, request[:]); err != nil {
		return fmt.Errorf("read segment request: %w", err)
	}
	s := Segment{First: binary.BigEndian.Uint64(request[:]), Digest: [32]byte(request[8:])}
	select {
	case p.sending <- struct{}{}:
		defer func() { <-p.sending }()
	default:
		return answerSegment(conn, segmentBusy, 0)
	}
	file, err := p.cfg.Segments(s)
	switch {
	case errors.Is(err, ErrNoSegment):
		return answerSegment(conn, segmentNone, 0)
	case err != nil:
		p.cfg.Logger.Error("a segment that a peer asked for cannot be read", "first", s.First, "error", err)
		return answerSegment(conn, segmentBroken, 0)
	}
	defer func() { _ = file.Close() }()
	if err := answerSegment(conn, segmentHere, file.Size()); err != nil {
		return err
	}
	return p.sendSegment(conn, file)
}

func answerSegment(conn net.Conn, answer byte, size int64) error {
	if _, err := conn.Write(binary.BigEndian.AppendUint64([]byte{answer}, uint64(size))); err != nil {
		return fmt.Errorf("answer segment request: %w", err)
	}
	return nil
}

// sendSegment sends the file in pieces. If it cannot be read to its end, the
// connection ends early, which the receiver notices.
func (p *Port) sendSegment(conn net.Conn, file SegmentFile) error {
	var sum hash.Hash = sha256.New()
	piece := make([]byte, segmentPieceBytes)
	for left := file.Size(); left > 0; {
		b := piece[:min(left, segmentPieceBytes)]
		if _, err := io.ReadFull(file, b); err != nil {
			return fmt.Errorf("read segment: %w", err)
		}
		if err := p.pace.wait(p.lifetime, len(b)); err != nil {
			return err
		}
		sum.Write(b)
		if _, err := conn.Write(b); err != nil {
			return fmt.Errorf("send segment: %w", err)
		}
		left -= int64(len(b))
	}
	if _, err := conn.Write(sum.Sum(nil)); err != nil {
		return fmt.Errorf("send digest: %w", err)
	}
	return nil
}

// idleConn gives every read and write a deadline of its own.
type idleConn struct {
	net.Conn
	idle time.Duration
}

// Read implements net.Conn.
func (c idleConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// Write implements net.Conn.
func (c idleConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
