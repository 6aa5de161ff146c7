package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// An image connection carries the state and the journal of a node, for one that
// has lost its own. Nothing is asked:
//
//	answer   0   1  0 here it is, 1 not now
//	         1   8  n, 0 unless here it is          big-endian
//	         9   n  the image
const (
	imageAnswerBytes = 1 + 8
	imagePieceBytes  = 256 << 10

	imageHere byte = 0
	imageNone byte = 1

	// The sender copies its state and the newest segment before it answers.
	imagePatience = 5 * time.Minute
)

// ErrNoImage: the peer has no state to give, or none now.
var ErrNoImage = errors.New("the node gives no state now")

// FetchImage writes the image of a peer, reached at an address, to w. After an error w may
// have got a part; an error of w comes back as it is. A node of which no byte comes
// for a while is given up.
func (p *Port) FetchImage(ctx context.Context, peer raft.ServerID, address string, w io.Writer) error {
	conn, err := p.dial(ctx, peer, address, forImage)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, ends := range []context.Context{ctx, p.lifetime} {
		defer context.AfterFunc(ends, func() { _ = conn.Close() })()
	}
	if err := receiveImage(conn, p.cfg.callIdle, w); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return nil
}

func receiveImage(conn net.Conn, idle time.Duration, w io.Writer) error {
	if err := conn.SetReadDeadline(time.Now().Add(imagePatience)); err != nil {
		return err
	}
	var answer [imageAnswerBytes]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	size := binary.BigEndian.Uint64(answer[1:])
	if answer[0] != imageHere || size > maxSnapshotBytes {
		return ErrNoImage
	}
	piece := make([]byte, imagePieceBytes)
	for left := size; left > 0; {
		if err := conn.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return err
		}
		n, err := conn.Read(piece[:min(left, imagePieceBytes)])
		if n > 0 {
			if _, err := w.Write(piece[:n]); err != nil {
				return err
			}
		}
		if left -= uint64(n); err != nil && left > 0 {
			return fmt.Errorf("read image: %w", err)
		}
	}
	return nil
}

// serveImage answers an image connection.
func (p *Port) serveImage(conn net.Conn) error {
	image, size, err := p.cfg.Image()
	if err != nil {
		p.cfg.Logger.Info("a node that asks for the state is refused", "error", err)
		_, err := conn.Write(binary.BigEndian.AppendUint64([]byte{imageNone}, 0))
		return err
	}
	err = sendImage(conn, p.cfg.callIdle, image, size)
	return errors.Join(err, image.Close())
}

func sendImage(conn net.Conn, idle time.Duration, image io.Reader, size int64) error {
	if _, err := conn.Write(binary.BigEndian.AppendUint64([]byte{imageHere}, uint64(size))); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	piece := make([]byte, imagePieceBytes)
	for {
		n, err := image.Read(piece)
		if n > 0 {
			if err := conn.SetWriteDeadline(time.Now().Add(idle)); err != nil {
				return err
			}
			if _, err := conn.Write(piece[:n]); err != nil {
				return fmt.Errorf("send image: %w", err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read image: %w", err)
		}
	}
}
