// SPDX-License-Identifier: Apache-2.0

/// Two certificates of nobody, with their keys (PEM), for tests alone.
enum TestCertificates {
    static let first = """
        -----BEGIN CERTIFICATE-----
        MIIBbjCCARWgAwIBAgIUfD5yBYNzH3R6f6uz/sMNvvoHLPwwCgYIKoZIzj0EAwIw
        DDEKMAgGA1UEAwwBYTAgFw0yNjExMzAxNzA0MjNaGA8yMTI2MTEwNjE3MDQyM1ow
        DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFCiKMibFLlX
        VBjJo3xBW6JW2qBp746Z+nvGmZ2iq8Oi83ZCQ8a01kgVjRuQSTRPUH1hWSUqNRYN
        RedcUpcDszyjUzBRMB0GA1UdDgQWBBTuJ27lt9/b8rKU3ISyI5nd+JulLTAfBgNV
        HSMEGDAWgBTuJ27lt9/b8rKU3ISyI5nd+JulLTAPBgNVHRMBAf8EBTADAQH/MAoG
        CCqGSM49BAMCA0cAMEQCIEmRCSbx4fTzDmDJ0Hn8GK3kV6dtwzQfdUUM7qnlMe8L
        AiBn2VXIBXCFAogE0Kisvnc3ouQEYVDRbJWQhDVdn2ZA0Q==
        -----END CERTIFICATE-----

        """
    static let firstKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgiwKNXwnmCoLHq8gY
        LPj9GfUN6KEjVnZQPVhY2wbbqrqhRANCAARQoijImxS5V1QYyaN8QVuiVtqgae+O
        mfp7xpmdoqvDovN2QkPGtNZIFY0bkEk0T1B9YVklKjUWDUXnXFKXA7M8
        -----END PRIVATE KEY-----

        """
    static let second = """
        -----BEGIN CERTIFICATE-----
        MIIBbTCCARWgAwIBAgIUQ/94ES4eN4jT9cc2VpbX7BJyLm0wCgYIKoZIzj0EAwIw
        DDEKMAgGA1UEAwwBYjAgFw0yNjExMzAxNzA0MjNaGA8yMTI2MTEwNjE3MDQyM1ow
        DDEKMAgGA1UEAwwBYjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGzRffr5yDc7
        QHoFVYDJewrSzNnkfQNgh6S3wQzspmLUkW5rGs27ZgxobzRbxNnGUa2UZqzCzF9x
        Q9CeKd4Q2eajUzBRMB0GA1UdDgQWBBQPlGpwb52ozW0aQ6wPnPB0kTSrVzAfBgNV
        HSMEGDAWgBQPlGpwb52ozW0aQ6wPnPB0kTSrVzAPBgNVHRMBAf8EBTADAQH/MAoG
        CCqGSM49BAMCA0YAMEMCHw8kWZ5CTdjA1r4sfeI2ungXVTEGTDdtZd9qIgtySd0C
        ID0io1Msf7v4XvTiR4zfOgYK1ZyBVTsQPP+fMTkLjaCK
        -----END CERTIFICATE-----

        """
    static let secondKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGNbBHEPHGBFnTt3P
        MniwgdjmGvQJSzuVJ65wizYVNC+hRANCAARs0X36+cg3O0B6BVWAyXsK0szZ5H0D
        YIekt8EM7KZi1JFuaxrNu2YMaG80W8TZxlGtlGaswsxfcUPQnineENnm
        -----END PRIVATE KEY-----

        """
}
