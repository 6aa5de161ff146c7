package api

import (
	"context"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/managers/kv"
)

type (
	createBucketFrame = wire.Frame[edriv1.CreateBucket]
	updateBucketFrame = wire.Frame[edriv1.UpdateBucket]
	deleteBucketFrame = wire.Frame[edriv1.DeleteBucket]
	getBucketFrame    = wire.Frame[edriv1.GetBucketRequest]
	listBucketsFrame  = wire.Frame[edriv1.ListBucketsRequest]
)

func (s *service) createBucket(ctx context.Context, f *createBucketFrame) (*edriv1.Bucket, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	return s.changeBucket(ctx, opCreateBucket, f.Bytes, request.Name)
}

func (s *service) updateBucket(ctx context.Context, f *updateBucketFrame) (*edriv1.Bucket, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	return s.changeBucket(ctx, opUpdateBucket, f.Bytes, request.Name)
}

func (s *service) deleteBucket(ctx context.Context, f *deleteBucketFrame) (*edriv1.DeleteBucketResponse, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	if _, err := s.executeOp(ctx, opDeleteBucket, f.Bytes); err != nil {
		return nil, err
	}
	return &edriv1.DeleteBucketResponse{}, nil
}

// changeBucket executes an operation and returns how the bucket is then.
func (s *service) changeBucket(ctx context.Context, op int32, body []byte, name string) (*edriv1.Bucket, error) {
	if _, err := s.executeOp(ctx, op, body); err != nil {
		return nil, err
	}
	return s.bucket(name)
}

func (s *service) bucket(name string) (*edriv1.Bucket, error) {
	v := s.cfg.Node.View()
	defer v.Close()
	b, err := kv.BucketOf(v, name)
	if err != nil {
		return nil, err
	}
	return bucketMessage(&b), nil
}

func (s *service) getBucket(ctx context.Context, f *getBucketFrame) (*edriv1.Bucket, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	if err := kv.CheckBucketName(request.Name); err != nil {
		return nil, err
	}
	if err := s.awaitKeys(ctx, request.Consistency, request.MinPosition); err != nil {
		return nil, err
	}
	return s.bucket(request.Name)
}

func (s *service) listBuckets(ctx context.Context, f *listBucketsFrame) (*edriv1.ListBucketsResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	limit, err := listed("buckets", request.Limit, defaultStreams, maxListed)
	if err != nil {
		return nil, err
	}
	if err := checkPrefix("prefix", request.Prefix); err != nil {
		return nil, err
	}
	if err := checkPrefix("after", request.After); err != nil {
		return nil, err
	}
	if err := s.awaitKeys(ctx, request.Consistency, request.MinPosition); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	response := &edriv1.ListBucketsResponse{}
	for b, err := range kv.Buckets(v, request.Prefix, request.After) {
		if err != nil {
			return nil, err
		}
		if response.More = len(response.Buckets) == limit; response.More {
			break
		}
		response.Buckets = append(response.Buckets, bucketMessage(&b))
	}
	return response, nil
}

func bucketMessage(b *kv.Bucket) *edriv1.Bucket {
	return &edriv1.Bucket{
		Name: b.Name, Id: b.ID, Keys: b.Keys, ValueBytes: b.ValueBytes,
		Config: &edriv1.BucketConfig{
			History: uint32(b.Config.History), Ttl: int64(b.Config.TTL), MaxValueBytes: uint32(b.Config.MaxValueBytes),
			MaxKeys: b.Config.MaxKeys, KeepDeleted: int64(b.Config.KeepDeleted),
		},
	}
}
