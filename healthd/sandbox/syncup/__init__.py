"""An emulated SyncUp production: meeting summaries on EC2, with RDS, ElastiCache, CloudFront and backups in S3."""
