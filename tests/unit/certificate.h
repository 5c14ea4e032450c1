/* A certificate for 127.0.0.1 that signs itself, and its key: known to everybody, for tests only. */
#ifndef TESTS_CERTIFICATE_H
#define TESTS_CERTIFICATE_H

static const char test_certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBhTCCASygAwIBAgIUGp/FsnyLZjxuB9HUTjewLePyjQ0wCgYIKoZIzj0EAwIw\n"
    "DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjcxMDMxNThaGA8yMTI2MTEwMzEwMzE1\n"
    "OFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEs3\n"
    "wkOlRZZeZ/07EsY4zniYxpKzJfsR2Z+pEeILLLEyDQK/W4vTdFOchFCgrV2GcGRN\n"
    "qjoJyRgpIbGAbpXOK2ujZDBiMB0GA1UdDgQWBBQkrdwGjTmAxmbmKDou/Rqy6XCp\n"
    "/zAfBgNVHSMEGDAWgBQkrdwGjTmAxmbmKDou/Rqy6XCp/zAPBgNVHRMBAf8EBTAD\n"
    "AQH/MA8GA1UdEQQIMAaHBH8AAAEwCgYIKoZIzj0EAwIDRwAwRAIgLo1g8m7XUXdF\n"
    "uf3ITOU5gmrhbeZKvJcnwnyYU2NwR3gCIBHR5tv0HSuRy85SxRe0vFsXlmb9IPfh\n"
    "NKOPkbsAXezn\n"
    "-----END CERTIFICATE-----\n";

static const char test_certificate_key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMi5QUtHt5+fQ0DoI\n"
    "fkjvNYGBoc1nsr+etyf8wguzJw2hRANCAARLN8JDpUWWXmf9OxLGOM54mMaSsyX7\n"
    "EdmfqRHiCyyxMg0Cv1uL03RTnIRQoK1dhnBkTao6CckYKSGxgG6Vzitr\n"
    "-----END PRIVATE KEY-----\n";

#endif
