package api

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers/kv"
)

type (
	putFrame         = wire.Frame[edriv1.PutKey]
	deleteKeyFrame   = wire.Frame[edriv1.DeleteKey]
	transactionFrame = wire.Frame[edriv1.KeyTransaction]
	getKeyFrame      = wire.Frame[edriv1.GetKeyRequest]
	listKeysFrame    = wire.Frame[edriv1.ListKeysRequest]
	keyHistoryFrame  = wire.Frame[edriv1.KeyHistoryRequest]
	watchFrame       = wire.Frame[edriv1.WatchKeysRequest]
)

// Bounds of one List and History.
const (
	defaultKeys = 1000
	maxHistory  = kv.MaxHistory
)

func (s *service) mountKeys(mux *http.ServeMux, options connect.HandlerOption) {
	unary(mux, edriv1connect.KeysCreateBucketProcedure, s.createBucket, options)
	unary(mux, edriv1connect.KeysUpdateBucketProcedure, s.updateBucket, options)
	unary(mux, edriv1connect.KeysDeleteBucketProcedure, s.deleteBucket, options)
	unary(mux, edriv1connect.KeysGetBucketProcedure, s.getBucket, options)
	unary(mux, edriv1connect.KeysListBucketsProcedure, s.listBuckets, options)
	unary(mux, edriv1connect.KeysPutProcedure, s.putKey, options)
	unary(mux, edriv1connect.KeysDeleteProcedure, s.deleteKey, options)
	unary(mux, edriv1connect.KeysTransactProcedure, s.transactKeys, options)
	unary(mux, edriv1connect.KeysGetProcedure, s.getKey, options)
	unary(mux, edriv1connect.KeysGetManyProcedure, s.getManyKeys, options)
	unary(mux, edriv1connect.KeysListProcedure, s.listKeys, options)
	unary(mux, edriv1connect.KeysHistoryProcedure, s.keyHistory, options)
	mux.Handle(edriv1connect.KeysGetStreamProcedure,
		connect.NewBidiStreamHandler(edriv1connect.KeysGetStreamProcedure, s.getKeyStream, options))
	mux.Handle(edriv1connect.KeysWatchProcedure,
		connect.NewServerStreamHandler(edriv1connect.KeysWatchProcedure, s.watchKeys, options))
}

func (s *service) putKey(ctx context.Context, f *putFrame) (*edriv1.KeyChanged, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	r, err := s.executeOp(ctx, opPutKey, f.Bytes)
	if err != nil {
		return nil, err
	}
	return r.GetKeyChanged(), nil
}

func (s *service) deleteKey(ctx context.Context, f *deleteKeyFrame) (*edriv1.KeyChanged, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	r, err := s.executeOp(ctx, opDeleteKey, f.Bytes)
	if err != nil {
		return nil, err
	}
	return r.GetKeyChanged(), nil
}

func (s *service) transactKeys(ctx context.Context, f *transactionFrame) (*edriv1.KeyTransactionDone, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	r, err := s.executeOp(ctx, opKeyTransaction, f.Bytes)
	if err != nil {
		return nil, err
	}
	return r.GetKeyTransactionDone(), nil
}

// keyFreshness is newFreshness with another default: who asks for nothing reads what was
// acknowledged before.
func keyFreshness(c edriv1.Consistency, min uint64) (freshness, error) {
	if c == edriv1.Consistency_CONSISTENCY_UNSPECIFIED && min == 0 {
		c = edriv1.Consistency_CONSISTENCY_LINEARIZABLE
	}
	return newFreshness(c, min)
}

// awaitKeys waits until the node is as fresh as a read of keys asks for.
func (s *service) awaitKeys(ctx context.Context, c edriv1.Consistency, min uint64) error {
	fresh, err := keyFreshness(c, min)
	if err != nil {
		return err
	}
	return s.await(ctx, fresh)
}

func checkKeyOf(bucket, key string) error {
	if err := kv.CheckBucketName(bucket); err != nil {
		return err
	}
	return kv.CheckKey(key)
}

func (s *service) getKey(ctx context.Context, f *getKeyFrame) (*edriv1.KeyEntry, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	if err := checkKeyOf(request.Bucket, request.Key); err != nil {
		return nil, err
	}
	if err := s.awaitKeys(ctx, request.Consistency, request.MinPosition); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	var e kv.Entry
	switch last := v.Journal().Last(); {
	case request.At == 0:
		e, err = kv.Get(v, request.Bucket, request.Key)
	case event.Position(request.At) > last:
		return nil, event.Errorf(event.CodeInvalid, "at %d: the last position is %d", request.At, last)
	default:
		e, err = kv.GetAt(v, request.Bucket, request.Key, event.Position(request.At))
	}
	if err != nil {
		return nil, err
	}
	return entryMessage(&e), nil
}

func (s *service) listKeys(ctx context.Context, f *listKeysFrame) (*edriv1.ListKeysResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	limit, err := listed("keys", request.Limit, defaultKeys, maxListed)
	if err != nil {
		return nil, err
	}
	w := kv.Watched{Bucket: request.Bucket, Prefix: request.Prefix}
	if err := w.Check(); err != nil {
		return nil, err
	}
	if err := event.CheckText("after", request.After, kv.MaxKeyBytes); err != nil {
		return nil, err
	}
	if err := s.awaitKeys(ctx, request.Consistency, request.MinPosition); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	list, more, err := kv.List(v, request.Bucket, request.Prefix, request.After, limit, !request.KeysOnly)
	if err != nil {
		return nil, err
	}
	return &edriv1.ListKeysResponse{Keys: entryMessages(list), More: more, Position: uint64(v.Journal().Last())}, nil
}

func (s *service) keyHistory(ctx context.Context, f *keyHistoryFrame) (*edriv1.KeyHistoryResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	limit, err := listed("entries", request.Limit, maxHistory, maxHistory)
	if err != nil {
		return nil, err
	}
	if err := checkKeyOf(request.Bucket, request.Key); err != nil {
		return nil, err
	}
	if err := s.awaitKeys(ctx, request.Consistency, request.MinPosition); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	list, more, cut, err := kv.History(v, request.Bucket, request.Key, event.Position(request.After), limit)
	if err != nil {
		return nil, err
	}
	return &edriv1.KeyHistoryResponse{Entries: entryMessages(list), More: more, Cut: cut}, nil
}

func entryMessages(list []kv.Entry) []*edriv1.KeyEntry {
	messages := make([]*edriv1.KeyEntry, len(list))
	for i := range list {
		messages[i] = entryMessage(&list[i])
	}
	return messages
}

func entryMessage(e *kv.Entry) *edriv1.KeyEntry {
	return &edriv1.KeyEntry{
		Key: e.Key, Value: e.Value, ContentType: e.ContentType,
		Revision: uint64(e.Revision), Created: uint64(e.Created), Stamp: e.Stamp, Expires: e.Expires,
		Kind: edriv1.KeyEntry_Kind(e.Kind),
	}
}
